-- breaks-old-code: it does not say for whom its statements run, so it sees no note until it is replaced
SELECT own_rows('notes');

-- The ids of the notes that a statement may see, and that match. An index cannot find words under row-level security,
-- because PostgreSQL does not know of the operator that it keeps what it sees to itself. So this function reads as the
-- owner of the table, and looks at the owners of the rows itself.
CREATE FUNCTION notes_with(words tsquery) RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
    SELECT id FROM notes WHERE search @@ words AND (owner = acting() OR sees_all())
$$;
