-- Projects, who is in them, what may be drawn, and the stored objects.

CREATE TABLE project (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  state text NOT NULL CONSTRAINT project_state CHECK (state IN ('ACTIVE', 'PAUSED', 'ARCHIVED')),
  media_type text NOT NULL CONSTRAINT project_media_type
    CHECK (media_type IN ('IMAGE', 'TEXT', 'IMAGE_TEXT', 'POINT_CLOUD', 'VIDEO', 'AUDIO')),
  overlap integer NOT NULL CONSTRAINT project_overlap CHECK (overlap >= 1),
  review text NOT NULL CONSTRAINT project_review CHECK (review IN ('NONE', 'REQUIRED')),
  collaboration text NOT NULL CONSTRAINT project_collaboration CHECK (collaboration IN ('EXCLUSIVE', 'SHARED')),
  lease_seconds integer NOT NULL,
  max_leases integer NOT NULL,
  rework_hold_seconds integer NOT NULL,
  max_expiries integer NOT NULL,
  streams integer NOT NULL CONSTRAINT project_streams CHECK (streams >= 1),
  template_version integer NOT NULL,
  created_by uuid NOT NULL REFERENCES "user" (id),
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);

CREATE TABLE project_member (
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  user_id uuid NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
  role text NOT NULL CONSTRAINT project_member_role CHECK (role IN ('VIEWER', 'ANNOTATOR', 'REVIEWER', 'MANAGER')),
  since timestamptz NOT NULL,
  PRIMARY KEY (project_id, user_id)
);
CREATE INDEX project_member_user ON project_member (user_id, project_id);

CREATE TABLE template (
  id uuid PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  version integer NOT NULL,
  name text NOT NULL,
  media_type text NOT NULL CONSTRAINT template_media_type
    CHECK (media_type IN ('IMAGE', 'TEXT', 'IMAGE_TEXT', 'POINT_CLOUD', 'VIDEO', 'AUDIO')),
  tools jsonb NOT NULL,
  published_by uuid REFERENCES "user" (id),
  published_at timestamptz NOT NULL,
  UNIQUE (project_id, version)
);

CREATE TABLE asset (
  id uuid PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  state text NOT NULL CONSTRAINT asset_state CHECK (state IN ('PENDING', 'READY', 'REJECTED')),
  file_name text NOT NULL,
  storage_key text NOT NULL UNIQUE,
  declared_content_type text NOT NULL,
  declared_size_bytes bigint NOT NULL,
  declared_sha256 text,
  media_type text CONSTRAINT asset_media_type
    CHECK (media_type IN ('IMAGE', 'TEXT', 'IMAGE_TEXT', 'POINT_CLOUD', 'VIDEO', 'AUDIO')),
  content_type text,
  size_bytes bigint,
  sha256 text,
  width integer,
  height integer,
  reason text,
  created_by uuid NOT NULL REFERENCES "user" (id),
  created_at timestamptz NOT NULL,
  completed_at timestamptz
);
CREATE INDEX asset_project ON asset (project_id, id);
CREATE INDEX asset_file_name ON asset (project_id, file_name);
CREATE INDEX asset_sha256 ON asset (project_id, sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX asset_pending ON asset (created_at) WHERE state = 'PENDING';
