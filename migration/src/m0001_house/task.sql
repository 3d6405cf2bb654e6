-- Tasks, their places (slots), who works on them and what reviewers said.

CREATE TABLE task (
  id uuid PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  template_id uuid NOT NULL REFERENCES template (id),
  external_id text,
  state text NOT NULL CONSTRAINT task_state CHECK (state IN
    ('QUEUED', 'IN_PROGRESS', 'SUBMITTED', 'IN_REVIEW', 'REWORK', 'ACCEPTED', 'SKIPPED', 'QUARANTINED', 'ARCHIVED')),
  priority integer NOT NULL,
  version integer NOT NULL,
  round integer NOT NULL,
  data jsonb NOT NULL,
  stream integer NOT NULL,
  review_epoch integer NOT NULL,
  reviewer_id uuid REFERENCES "user" (id),
  review_expires_at timestamptz,
  expiries integer NOT NULL,
  quarantine_reason text,
  open_conflicts integer NOT NULL,
  agreement double precision,
  -- Hides the task until its import has written all of them.
  import_job uuid,
  -- Whether `task_suggestion` holds annotations for whoever first claims a slot of it.
  suggested boolean NOT NULL DEFAULT false,
  created_by uuid NOT NULL REFERENCES "user" (id),
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT task_review CHECK ((state = 'IN_REVIEW') = (reviewer_id IS NOT NULL)),
  UNIQUE (project_id, external_id)
);
-- The three orders of the task list; hidden import tasks are in none of them.
CREATE INDEX task_by_priority ON task (project_id, priority DESC, id) WHERE import_job IS NULL;
CREATE INDEX task_by_creation ON task (project_id, id) WHERE import_job IS NULL;
CREATE INDEX task_by_update ON task (project_id, updated_at DESC, id) WHERE import_job IS NULL;
CREATE INDEX task_by_state ON task (project_id, state, priority DESC, id) WHERE import_job IS NULL;
CREATE INDEX task_reviewable ON task (project_id, priority DESC, id) WHERE state = 'SUBMITTED' AND import_job IS NULL;
CREATE INDEX task_review_expiry ON task (review_expires_at) WHERE state = 'IN_REVIEW';
CREATE INDEX task_reviewer ON task (reviewer_id, project_id) WHERE state = 'IN_REVIEW';
CREATE INDEX task_conflicted ON task (project_id, id) WHERE open_conflicts > 0;
CREATE INDEX task_import ON task (import_job, id) WHERE import_job IS NOT NULL;

CREATE TABLE task_asset (
  task_id uuid NOT NULL REFERENCES task (id) ON DELETE CASCADE,
  position integer NOT NULL,
  asset_id uuid NOT NULL REFERENCES asset (id),
  PRIMARY KEY (task_id, position),
  UNIQUE (task_id, asset_id)
);
CREATE INDEX task_asset_asset ON task_asset (asset_id);

-- `claimable` repeats what the task knows (not archived, not quarantined, not hidden), so that the claim walks one index.
CREATE TABLE task_slot (
  task_id uuid NOT NULL REFERENCES task (id) ON DELETE CASCADE,
  number integer NOT NULL,
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  state text NOT NULL CONSTRAINT task_slot_state
    CHECK (state IN ('FREE', 'LEASED', 'SUBMITTED', 'SKIPPED', 'ACCEPTED', 'REJECTED')),
  round integer NOT NULL,
  claimable boolean NOT NULL,
  priority integer NOT NULL,
  queue_number bigint NOT NULL,
  lease_epoch integer NOT NULL,
  holder_id uuid REFERENCES "user" (id),
  lease_expires_at timestamptz,
  reserved_for uuid REFERENCES "user" (id),
  reserved_until timestamptz,
  submitted_by uuid REFERENCES "user" (id),
  submitted_at timestamptz,
  skip_reason text,
  PRIMARY KEY (task_id, number),
  CONSTRAINT task_slot_holder CHECK ((state = 'LEASED') = (holder_id IS NOT NULL)),
  CONSTRAINT task_slot_lease CHECK ((state = 'LEASED') = (lease_expires_at IS NOT NULL))
);
CREATE INDEX task_slot_claim ON task_slot (project_id, priority DESC, queue_number, task_id)
  WHERE state = 'FREE' AND claimable AND reserved_for IS NULL;
CREATE INDEX task_slot_reserved ON task_slot (project_id, reserved_for, priority DESC, queue_number)
  WHERE state = 'FREE' AND reserved_for IS NOT NULL;
CREATE INDEX task_slot_reservation_end ON task_slot (reserved_until) WHERE state = 'FREE' AND reserved_for IS NOT NULL;
CREATE INDEX task_slot_expiry ON task_slot (lease_expires_at) WHERE state = 'LEASED';
CREATE INDEX task_slot_holder ON task_slot (holder_id, project_id) WHERE state = 'LEASED';
CREATE INDEX task_slot_submitter ON task_slot (submitted_by, project_id) WHERE submitted_by IS NOT NULL;
CREATE INDEX task_slot_state_list ON task_slot (project_id, state, task_id);

CREATE TABLE assignment (
  id uuid PRIMARY KEY,
  task_id uuid NOT NULL,
  slot integer NOT NULL,
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  annotator_id uuid NOT NULL REFERENCES "user" (id),
  state text NOT NULL CONSTRAINT assignment_state CHECK (state IN
    ('LEASED', 'SUBMITTED', 'SKIPPED', 'RELEASED', 'EXPIRED', 'REVOKED', 'ACCEPTED', 'REJECTED')),
  round integer NOT NULL,
  lease_epoch integer NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz,
  UNIQUE (task_id, slot, lease_epoch),
  FOREIGN KEY (task_id, slot) REFERENCES task_slot (task_id, number) ON DELETE CASCADE
);
CREATE INDEX assignment_task ON assignment (task_id, id);
CREATE INDEX assignment_finished ON assignment (project_id, ended_at DESC) WHERE state IN ('SUBMITTED', 'ACCEPTED', 'REJECTED');
CREATE INDEX assignment_annotator ON assignment (annotator_id, task_id);

-- One open screen. A row never expires for saving by its user; its end only ends presence and pause. Whether its work goes
-- on is not stored: it does while its fence holds. `request_id` makes the claim that opened it repeatable.
-- `saved_round` is the round of the task into which its user saved beside the holder: who did does not review that round.
CREATE TABLE labeling_session (
  id uuid PRIMARY KEY,
  task_id uuid NOT NULL REFERENCES task (id) ON DELETE CASCADE,
  slot integer,
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  user_id uuid NOT NULL REFERENCES "user" (id),
  actor text NOT NULL,
  role text NOT NULL CONSTRAINT labeling_session_role CHECK (role IN ('HOLDER', 'COLLABORATOR', 'REVIEWER')),
  fence integer NOT NULL,
  request_id text,
  saved_round integer,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  UNIQUE (task_id, actor),
  UNIQUE (user_id, request_id)
);
CREATE INDEX labeling_session_fence ON labeling_session (task_id, user_id, fence);
-- What one person may have joined: beside a holder, and in reviews, where whose it is stands at the task.
CREATE INDEX labeling_session_joined ON labeling_session (user_id, expires_at) WHERE role <> 'HOLDER';
CREATE INDEX labeling_session_saved ON labeling_session (user_id, task_id, saved_round) WHERE saved_round IS NOT NULL;
CREATE INDEX labeling_session_request ON labeling_session (created_at) WHERE request_id IS NOT NULL;

CREATE TABLE review (
  id uuid PRIMARY KEY,
  task_id uuid NOT NULL,
  slot integer NOT NULL,
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  verdict text NOT NULL CONSTRAINT review_verdict CHECK (verdict IN ('ACCEPT', 'REJECT')),
  comment text,
  reviewer_id uuid NOT NULL REFERENCES "user" (id),
  round integer NOT NULL,
  review_epoch integer NOT NULL,
  at timestamptz NOT NULL,
  UNIQUE (task_id, slot, review_epoch),
  FOREIGN KEY (task_id, slot) REFERENCES task_slot (task_id, number) ON DELETE CASCADE
);
CREATE INDEX review_task ON review (task_id, id);
