-- Event streams with their counters, and slow work.

-- The counters stand in the stream's own row: whoever changes them holds its lock anyway, and writes it once.
CREATE TABLE event_stream (
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  number integer NOT NULL,
  top bigint NOT NULL,
  bottom bigint NOT NULL,
  tasks_queued bigint NOT NULL DEFAULT 0,
  tasks_in_progress bigint NOT NULL DEFAULT 0,
  tasks_submitted bigint NOT NULL DEFAULT 0,
  tasks_in_review bigint NOT NULL DEFAULT 0,
  tasks_rework bigint NOT NULL DEFAULT 0,
  tasks_accepted bigint NOT NULL DEFAULT 0,
  tasks_skipped bigint NOT NULL DEFAULT 0,
  tasks_quarantined bigint NOT NULL DEFAULT 0,
  tasks_archived bigint NOT NULL DEFAULT 0,
  claimable bigint NOT NULL DEFAULT 0,
  open_conflicts bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (project_id, number),
  CONSTRAINT event_stream_range CHECK (bottom <= top)
);

CREATE TABLE event (
  project_id uuid NOT NULL,
  stream integer NOT NULL,
  position bigint NOT NULL,
  type text NOT NULL CONSTRAINT event_type CHECK (type IN
    ('TASK_CREATED', 'TASK_UPDATED', 'TASK_STATE_CHANGED', 'ANNOTATION_SAVED', 'ANNOTATION_DELETED', 'CONFLICT_RAISED',
     'CONFLICT_RESOLVED', 'SESSION_CHANGED', 'REVIEW_RECORDED', 'PROJECT_CHANGED', 'TEMPLATE_PUBLISHED',
     'MEMBER_CHANGED', 'TASKS_IMPORTED')),
  task_id uuid,
  by_user uuid,
  at timestamptz NOT NULL,
  payload jsonb NOT NULL,
  PRIMARY KEY (project_id, stream, position),
  FOREIGN KEY (project_id, stream) REFERENCES event_stream (project_id, number) ON DELETE CASCADE
);

CREATE TABLE job (
  id uuid PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  kind text NOT NULL CONSTRAINT job_kind CHECK (kind IN ('IMPORT', 'EXPORT')),
  state text NOT NULL CONSTRAINT job_state CHECK (state IN ('QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
  -- What an import does now. Once it shows its tasks it cannot be cancelled any more.
  step text CONSTRAINT job_step CHECK (step IN ('VALIDATE', 'WRITE', 'SHOW')),
  parameters jsonb NOT NULL,
  done bigint NOT NULL,
  total bigint,
  message text,
  result_key text,
  errors_key text,
  losses jsonb NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  runner text,
  runner_expires_at timestamptz,
  created_by uuid NOT NULL REFERENCES "user" (id),
  created_at timestamptz NOT NULL,
  started_at timestamptz,
  ended_at timestamptz
);
CREATE INDEX job_project ON job (project_id, id);
-- One import of a project at a time: a second one would take the hidden tasks of the first for known ones.
CREATE UNIQUE INDEX job_import ON job (project_id) WHERE kind = 'IMPORT' AND state = 'RUNNING';
CREATE INDEX job_waiting ON job (created_at) WHERE state IN ('QUEUED', 'RUNNING');

CREATE TABLE job_checkpoint (
  job_id uuid NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  number integer NOT NULL,
  state jsonb NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (job_id, number)
);
