-- Tables of the reference load claim_submit.sql: 20,000 tasks, 100,000 annotations.
create table project  (id bigint primary key generated always as identity, name text not null);
create table template (id bigint primary key generated always as identity,
  project_id bigint not null references project, name text not null, schema jsonb not null);
create table task (id bigint primary key generated always as identity,
  project_id bigint not null references project, template_id bigint not null references template,
  status text not null default 'ready', priority int not null default 0, version int not null default 1,
  assignee text, payload jsonb not null, updated_at timestamptz not null default now());
create table annotation (id bigint primary key generated always as identity,
  task_id bigint not null references task, author text not null, label text not null,
  geometry jsonb not null, created_at timestamptz not null default now());
create table snapshot (id bigint primary key generated always as identity,
  task_id bigint not null references task, version int not null, body jsonb not null,
  created_at timestamptz not null default now());
create table outbox (id bigint primary key generated always as identity,
  topic text not null, payload jsonb not null, created_at timestamptz not null default now());

insert into project (name) select 'project ' || g from generate_series(1, 2) g;
insert into template (project_id, name, schema)
  select 1 + g % 2, 'template ' || g, jsonb_build_object('kind', 'rectangle',
    'labels', jsonb_build_array('car', 'person', 'bike', 'sign'), 'version', g)
  from generate_series(1, 4) g;
insert into task (project_id, template_id, priority, payload)
  select 1 + g % 2, 1 + g % 4, g % 10, jsonb_build_object('image', 'https://img.invalid/' || g || '.jpg',
    'width', 1920, 'height', 1080, 'frame', g)
  from generate_series(1, 20000) g;
insert into annotation (task_id, author, label, geometry)
  select t, 'user' || (t + k) % 50, (array['car','person','bike','sign'])[1 + (t + k) % 4],
    jsonb_build_object('type', 'box', 'x', (t * 7 + k) % 1800 + 0.25, 'y', (t * 11 + k) % 1000 + 0.5,
      'w', 40 + k, 'h', 30 + k, 'rotation', 0)
  from generate_series(1, 20000) t, generate_series(1, 5) k;
create index on template (project_id);
create index on task (project_id, status);
create index on task (template_id);
create index on annotation (task_id);
create index on snapshot (task_id);
analyze;
