-- After a restore, in the schema of the application: subscribers of every resource read its list again, and so does
-- whoever resumes from an earlier event. The events that were restored are deleted: in another server, numbers of
-- transactions such as theirs may be in the future.
DELETE FROM events;
UPDATE events_pruned SET tx = pg_current_xact_id()::text::bigint, id = 0;
SELECT reset_events();
