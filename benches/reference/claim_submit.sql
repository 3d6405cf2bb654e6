-- The reference load of "claim, save 5 boxes, submit": one transaction that claims a task, writes 5 boxes, a snapshot and an event.
\set id random(1, 20000)
\set x random(1, 1800)
BEGIN;
UPDATE task SET status = 'ready', version = version + 1, assignee = 'u1', updated_at = now() WHERE id = :id AND status = 'ready' RETURNING id, version;
INSERT INTO annotation (task_id, author, label, geometry) SELECT :id, 'u1', 'car', jsonb_build_object('type', 'box', 'x', :x + k, 'y', :x - k, 'w', 40, 'h', 30, 'rotation', 0) FROM generate_series(1, 5) k;
INSERT INTO snapshot (task_id, version, body) VALUES (:id, 2, '[{"type":"box","x":1,"y":2,"w":40,"h":30,"label":"car"},{"type":"box","x":1,"y":2,"w":40,"h":30,"label":"car"},{"type":"box","x":1,"y":2,"w":40,"h":30,"label":"car"},{"type":"box","x":1,"y":2,"w":40,"h":30,"label":"car"},{"type":"box","x":1,"y":2,"w":40,"h":30,"label":"car"}]');
INSERT INTO outbox (topic, payload) VALUES ('project.1', '{"kind":"task.submitted","task":1,"by":"u1","boxes":5}');
COMMIT;
