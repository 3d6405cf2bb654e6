-- What one "task with template and assets" asks the database, by itself: who asks, the task, its template, its assets.
\set n random(1, :tasks)
SELECT u.id, t.id FROM "user" u JOIN access_token t ON t.user_id = u.id WHERE t.token_hash = decode(:hash, 'hex') AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp());
SELECT * FROM task WHERE import_job IS NULL AND project_id IN (SELECT project_id FROM project_member WHERE user_id = :user) AND id = (SELECT task_id FROM bench_task WHERE n = :n);
SELECT * FROM template WHERE id IN (:template);
SELECT * FROM (SELECT a.*, ta.position AS place, ta.task_id AS page_parent, row_number() OVER (PARTITION BY task_id ORDER BY position) AS page_row FROM asset a JOIN task_asset ta ON ta.asset_id = a.id WHERE ta.task_id IN (SELECT task_id FROM bench_task WHERE n = :n)) numbered WHERE page_row <= 11 ORDER BY page_row;
