-- Event streams with their counters, and slow work.

CREATE TABLE event_stream (
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  number integer NOT NULL,
  top bigint NOT NULL,
  bottom bigint NOT NULL,
  PRIMARY KEY (project_id, number),
  CONSTRAINT event_stream_range CHECK (bottom <= top)
);

CREATE TABLE stream_count (
  project_id uuid NOT NULL,
  stream integer NOT NULL,
  counter text NOT NULL,
  value bigint NOT NULL,
  PRIMARY KEY (project_id, stream, counter),
  FOREIGN KEY (project_id, stream) REFERENCES event_stream (project_id, number) ON DELETE CASCADE
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
  parameters jsonb NOT NULL,
  done bigint NOT NULL,
  total bigint,
  message text,
  result_key text,
  errors_key text,
  losses jsonb NOT NULL,
  runner text,
  runner_expires_at timestamptz,
  created_by uuid NOT NULL REFERENCES "user" (id),
  created_at timestamptz NOT NULL,
  started_at timestamptz,
  ended_at timestamptz
);
CREATE INDEX job_project ON job (project_id, id);
CREATE INDEX job_waiting ON job (created_at) WHERE state IN ('QUEUED', 'RUNNING');

CREATE TABLE job_checkpoint (
  job_id uuid NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  number integer NOT NULL,
  state jsonb NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (job_id, number)
);
