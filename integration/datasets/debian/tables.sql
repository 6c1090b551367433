-- The package archive of a Debian machine, normalised.
CREATE TABLE sections (
  id   int PRIMARY KEY,
  name text NOT NULL UNIQUE,
  area text NOT NULL
);
CREATE TABLE maintainers (
  id    int PRIMARY KEY,
  name  text NOT NULL,
  email text NOT NULL
);
CREATE TABLE tags (
  id    int PRIMARY KEY,
  facet text NOT NULL,
  name  text NOT NULL
);
CREATE TABLE packages (
  id             int PRIMARY KEY,
  name           text NOT NULL,
  version        text NOT NULL,
  architecture   text NOT NULL,
  priority       text NOT NULL,
  essential      boolean NOT NULL,
  installed_size bigint,
  size           bigint,
  homepage       text,
  source         text,
  description    text NOT NULL,
  section_id     int NOT NULL REFERENCES sections,
  maintainer_id  int NOT NULL REFERENCES maintainers
);
-- One row per alternative of one relation: `Depends: a | b, c` are three.
CREATE TABLE dependencies (
  package_id  int NOT NULL REFERENCES packages ON DELETE CASCADE,
  kind        text NOT NULL,
  position    int NOT NULL,
  alternative int NOT NULL,
  target      text NOT NULL,
  condition   text,
  PRIMARY KEY (package_id, kind, position, alternative)
);
CREATE TABLE package_tags (
  package_id int NOT NULL REFERENCES packages ON DELETE CASCADE,
  tag_id     int NOT NULL REFERENCES tags,
  PRIMARY KEY (package_id, tag_id)
);
