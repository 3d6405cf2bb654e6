-- What people drew: current state, every accepted state, snapshots, and edits kept beside the current state.

CREATE TABLE annotation (
  id uuid PRIMARY KEY,
  task_id uuid NOT NULL,
  slot integer NOT NULL,
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  asset_id uuid REFERENCES asset (id),
  kind text NOT NULL CONSTRAINT annotation_kind CHECK (kind IN
    ('BOUNDING_BOX', 'POLYGON', 'POLYLINE', 'KEYPOINTS', 'MASK', 'CUBOID_TRACK', 'TEXT_SPAN', 'IMAGE_TEXT_ALIGNMENT',
     'CLASSIFICATION', 'VIDEO_BOX', 'RELATION')),
  tool text NOT NULL,
  label text NOT NULL,
  geometry jsonb NOT NULL,
  attributes jsonb NOT NULL,
  version_vector jsonb NOT NULL,
  last_dots jsonb NOT NULL,
  cut_vector jsonb,
  actors integer NOT NULL,
  revision integer NOT NULL,
  deleted boolean NOT NULL,
  source text NOT NULL CONSTRAINT annotation_source CHECK (source IN ('HUMAN', 'MODEL', 'IMPORT')),
  score double precision,
  author_id uuid NOT NULL REFERENCES "user" (id),
  last_edited_by uuid NOT NULL REFERENCES "user" (id),
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  FOREIGN KEY (task_id, slot) REFERENCES task_slot (task_id, number) ON DELETE CASCADE
);
CREATE INDEX annotation_slot ON annotation (task_id, slot, id);
CREATE INDEX annotation_task ON annotation (task_id, id);
CREATE INDEX annotation_created ON annotation (project_id, created_at);
CREATE INDEX annotation_asset ON annotation (asset_id) WHERE asset_id IS NOT NULL;
-- Those whose vector is cut when their slot is next leased.
CREATE INDEX annotation_long_vector ON annotation (task_id, slot) WHERE actors > 64;

-- Annotations that an import found for a task, copied into each slot when it is first leased. `annotations` is an array of
-- objects: assetId (32 hexadecimal digits or null), tool, label, geometry, attributes, source, score.
CREATE TABLE task_suggestion (
  task_id uuid PRIMARY KEY REFERENCES task (id) ON DELETE CASCADE,
  by_user uuid NOT NULL REFERENCES "user" (id),
  annotations jsonb NOT NULL
);

-- Each accepted dot (vector_epoch, actor, counter) is one row, so that a repeated edit is recognised for ever. The epoch is
-- that of the edit's base. `conflict_id`: the conflict that the edit became, or went into.
CREATE TABLE annotation_revision (
  annotation_id uuid NOT NULL REFERENCES annotation (id) ON DELETE CASCADE,
  revision integer NOT NULL,
  vector_epoch integer NOT NULL,
  actor text NOT NULL,
  counter integer NOT NULL,
  edit_hash bytea NOT NULL,
  outcome text NOT NULL CONSTRAINT annotation_revision_outcome CHECK (outcome IN ('APPLIED', 'MERGED', 'CONFLICT')),
  fields jsonb NOT NULL,
  label text NOT NULL,
  geometry jsonb NOT NULL,
  attributes jsonb NOT NULL,
  deleted boolean NOT NULL,
  version_vector jsonb NOT NULL,
  by_user uuid REFERENCES "user" (id),
  last_edited_by uuid NOT NULL REFERENCES "user" (id),
  at timestamptz NOT NULL,
  conflict_id uuid,
  PRIMARY KEY (annotation_id, revision),
  UNIQUE (annotation_id, vector_epoch, actor, counter)
);

-- `fence` is that of the lease or review under which it was taken. `payload` is an array of annotations by id, ids as 32
-- hexadecimal digits.
CREATE TABLE annotation_snapshots (
  id uuid PRIMARY KEY,
  task_id uuid NOT NULL,
  slot integer NOT NULL,
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  version integer NOT NULL,
  reason text NOT NULL CONSTRAINT annotation_snapshots_reason
    CHECK (reason IN ('SUBMIT', 'VERDICT', 'REOPEN', 'RESTORE')),
  payload jsonb NOT NULL,
  by_user uuid REFERENCES "user" (id),
  at timestamptz NOT NULL,
  fence integer NOT NULL,
  FOREIGN KEY (task_id, slot) REFERENCES task_slot (task_id, number) ON DELETE CASCADE
);
CREATE INDEX annotation_snapshots_task ON annotation_snapshots (task_id, id);
CREATE INDEX annotation_snapshots_slot ON annotation_snapshots (task_id, slot, fence);

-- Edits that could not be applied. `patch` is what the edit writes; (vector_epoch, actor, counter) its dot; `base` what its
-- author saw, where that is known. `current` and `incoming` are kept when a person has decided: until then they follow from
-- the annotation. `resolved_revision` is the revision that the decision made.
CREATE TABLE conflict (
  id uuid PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  task_id uuid NOT NULL REFERENCES task (id) ON DELETE CASCADE,
  slot integer NOT NULL,
  annotation_id uuid NOT NULL REFERENCES annotation (id) ON DELETE CASCADE,
  state text NOT NULL CONSTRAINT conflict_state CHECK (state IN ('OPEN', 'RESOLVED')),
  cause text NOT NULL CONSTRAINT conflict_cause
    CHECK (cause IN ('CONCURRENT', 'DELETED', 'INVALID_MERGE', 'OLD_EPOCH', 'LATE')),
  fields jsonb NOT NULL,
  base jsonb,
  base_vector jsonb NOT NULL,
  patch jsonb NOT NULL,
  vector_epoch integer NOT NULL,
  actor text NOT NULL,
  counter integer NOT NULL,
  incoming_by uuid NOT NULL REFERENCES "user" (id),
  current_by uuid NOT NULL REFERENCES "user" (id),
  raised_at timestamptz NOT NULL,
  resolved_by uuid REFERENCES "user" (id),
  resolved_at timestamptz,
  choice text CONSTRAINT conflict_choice CHECK (choice IN ('CURRENT', 'INCOMING', 'MERGED')),
  current jsonb,
  incoming jsonb,
  resolved_revision integer,
  CONSTRAINT conflict_resolution CHECK (
    (state = 'RESOLVED') = (resolved_at IS NOT NULL) AND (state = 'RESOLVED') = (choice IS NOT NULL)
    AND (state = 'RESOLVED') = (current IS NOT NULL) AND (state = 'RESOLVED') = (incoming IS NOT NULL)
    AND (state = 'RESOLVED') = (resolved_revision IS NOT NULL) AND (state = 'RESOLVED') = (resolved_by IS NOT NULL))
);
CREATE INDEX conflict_project ON conflict (project_id, state, id);
CREATE INDEX conflict_task ON conflict (task_id, state, id);
CREATE INDEX conflict_annotation ON conflict (annotation_id, state, id);

-- Which labels a task has live annotations of: the task filter and the label coverage read this, never the annotations.
CREATE TABLE task_label (
  task_id uuid NOT NULL REFERENCES task (id) ON DELETE CASCADE,
  label text NOT NULL,
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  annotations integer NOT NULL,
  PRIMARY KEY (task_id, label)
);
CREATE INDEX task_label_project ON task_label (project_id, label, task_id);
