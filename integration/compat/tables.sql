-- An imaginary botanic garden: the tables behind the files beside this one.
CREATE SCHEMA herb;
CREATE TABLE herb.families (id integer PRIMARY KEY, latin text NOT NULL, motto text);
CREATE TABLE herb.beds (id bigint PRIMARY KEY, label varchar(40) NOT NULL, family_id integer REFERENCES herb.families, spot text, open boolean NOT NULL DEFAULT true);
CREATE TABLE herb.plants (
  id bigint PRIMARY KEY, passport uuid, code text NOT NULL, name text NOT NULL, shelf_mark text, habit text, stage text,
  edible boolean, petals smallint, height integer, seeds bigint, acidity real, weight double precision, price numeric(8,2),
  planted date, watered timestamptz, photo bytea, traits jsonb, titles jsonb, gate inet,
  lat double precision, lon double precision, drawn_at text,
  bed_id bigint REFERENCES herb.beds, rank integer NOT NULL DEFAULT 0, kept boolean NOT NULL DEFAULT true, removed_at timestamptz
);
CREATE TABLE herb.harvests (
  id bigint PRIMARY KEY, plant_id bigint NOT NULL REFERENCES herb.plants, grams integer NOT NULL, quality numeric(4,2),
  picked timestamptz NOT NULL, basket text, spoiled boolean NOT NULL DEFAULT false, state text NOT NULL DEFAULT 'fresh'
);
CREATE TABLE herb.signs (id integer PRIMARY KEY, plant_id bigint NOT NULL REFERENCES herb.plants, wording text NOT NULL, printed date);
CREATE TABLE herb.gardeners (id integer PRIMARY KEY, name text NOT NULL, joined date NOT NULL);
CREATE TABLE herb.care (plant_id bigint REFERENCES herb.plants, gardener_id integer REFERENCES herb.gardeners, PRIMARY KEY (plant_id, gardener_id));
CREATE INDEX ON herb.beds (family_id);
CREATE INDEX ON herb.plants (bed_id);
CREATE INDEX ON herb.harvests (plant_id);
CREATE INDEX ON herb.signs (plant_id);
CREATE INDEX ON herb.care (gardener_id);

INSERT INTO herb.families VALUES (1, 'Lamiaceae', 'odore'), (2, 'Rosaceae', NULL);
INSERT INTO herb.beds VALUES (10, 'South wall', 1, '53.5,9.9', true), (11, 'Pond', 2, NULL, false), (12, 'Nursery', NULL, '53.6,9.8', true);
INSERT INTO herb.plants
SELECT i, ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, ' P-' || i, 'Plant ' || i, 'A/' || i % 7,
  (ARRAY['tree', 'shrub', 'herb', 'moss'])[1 + i % 4], (ARRAY['seedling', 'grown', NULL])[1 + i % 3],
  i % 2 = 0, (i % 9)::smallint, i * 3, i::bigint << 40, (i % 14) / 10.0, i / 3.0, i * 1.25,
  date '2024-02-28' + i, timestamptz '2026-01-01 08:00:00.5+01' + i * interval '1 hour',
  CASE WHEN i % 5 = 0 THEN decode(lpad(to_hex(i), 4, '0'), 'hex') END,
  CASE WHEN i % 3 = 0 THEN jsonb_build_object('leaf', i, 'tags', jsonb_build_array('x', i)) END,
  jsonb_build_object('en', 'Plant ' || i, 'de', 'Pflanze ' || i), ('10.0.0.' || i % 250)::inet,
  CASE WHEN i % 4 > 0 THEN 53 + i / 100.0 END, 9 + i / 100.0, CASE WHEN i % 2 = 0 THEN '53.5,9.9' END,
  (ARRAY[10, 11, 12, NULL])[1 + i % 4], i, i % 10 > 0, CASE WHEN i % 10 < 2 THEN timestamptz '2026-02-01' END
FROM generate_series(1, 60) i;
INSERT INTO herb.harvests
SELECT i, 1 + i % 60, 10 * i, CASE WHEN i % 4 > 0 THEN i / 16.0 END, timestamptz '2026-03-01' + i * interval '7 minutes',
  CASE WHEN i % 3 > 0 THEN 'basket ' || i % 5 END, i % 11 = 0, (ARRAY['fresh', 'dried', 'lost'])[1 + i % 3]
FROM generate_series(1, 200) i;
INSERT INTO herb.signs SELECT i, 1 + i % 50, 'Sign ' || i, CASE WHEN i % 2 = 0 THEN date '2025-06-01' + i END FROM generate_series(1, 70) i;
INSERT INTO herb.gardeners VALUES (1, 'Ada', '2019-03-01'), (2, 'Bo', '2021-10-15'), (3, 'Cy', '2024-01-02');
INSERT INTO herb.care SELECT 1 + i % 60, 1 + i % 3 FROM generate_series(1, 90) i ON CONFLICT DO NOTHING;
