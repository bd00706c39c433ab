-- Run by the workbench at its start: copies of the database on which a killed supervisor was trying migrations.
SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname ~ '^trial_[0-9]+$' \gexec
