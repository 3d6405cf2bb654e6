-- Who may come in, and how: users, their sign-ins and tokens; and what this installation is.

CREATE TABLE instance (
  id integer PRIMARY KEY CONSTRAINT instance_single CHECK (id = 1),
  epoch bigint NOT NULL,
  -- Raised when somebody's way in ends or their rights on the whole server change.
  sign_ins bigint NOT NULL DEFAULT 0,
  schema_version integer NOT NULL,
  oldest_reader integer NOT NULL,
  signing_key bytea,
  created_at timestamptz NOT NULL
);

CREATE TABLE "user" (
  id uuid PRIMARY KEY,
  email text NOT NULL UNIQUE,
  name text NOT NULL,
  admin boolean NOT NULL,
  disabled boolean NOT NULL,
  password_hash text,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);

CREATE TABLE login_session (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
  token_hash bytea NOT NULL UNIQUE,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX login_session_user ON login_session (user_id, expires_at);
CREATE INDEX login_session_expiry ON login_session (expires_at);

CREATE TABLE sign_in_link (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
  token_hash bytea NOT NULL UNIQUE,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at timestamptz
);
CREATE INDEX sign_in_link_user ON sign_in_link (user_id);

-- Failed sign-ins by account or address (hashed), so that every replica slows the same guesser.
CREATE TABLE sign_in_attempt (
  subject text PRIMARY KEY,
  failures integer NOT NULL,
  last_at timestamptz NOT NULL
);
CREATE INDEX sign_in_attempt_last ON sign_in_attempt (last_at);

CREATE TABLE access_token (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
  name text NOT NULL,
  token_hash bytea NOT NULL UNIQUE,
  created_at timestamptz NOT NULL,
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz
);
CREATE INDEX access_token_user ON access_token (user_id, id);
