-- The way back from a changed row to its packages. Made after the rows are loaded.
CREATE INDEX ON packages (section_id);
CREATE INDEX ON packages (maintainer_id);
CREATE INDEX ON packages (name);
CREATE INDEX ON dependencies (target);
CREATE INDEX ON package_tags (tag_id);
ANALYZE;
