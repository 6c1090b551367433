//! Tables, names, keys and the root: soft delete, generated columns, domains, partitions, tables
//! without keys, names that only quotes can write, members named like the statement's own.

use crate::Golden;

pub(crate) const GOLDENS: &[Golden] = &[
    Golden {
        name: "soft_delete_by_a_field_needs_marker_and_every_when",
        tables: "
CREATE DOMAIN yes AS boolean;
CREATE TABLE t (id int PRIMARY KEY, gone yes, why text, kind text NOT NULL);
INSERT INTO t VALUES (1, NULL, 'x', 'a'), (2, false, 'x', 'a'), (3, true, 'x', 'a'), (4, true, NULL, 'a'), (5, true, 'y', 'a'), (6, NULL, NULL, 'hidden')",
        schema: "
version: 1
table: t
soft_delete: { field: isGone, when: [ { column: why, op: eq, value: x } ] }
filters: [ { column: kind, op: neq, value: hidden } ]
fields:
  - integer: id
  - { object: state, fields: [ { boolean: isGone, column: gone, default: false } ] }
",
        needs: &["public.t:  | gone id kind why | DEFAULT"],
        ways: &["public.t: the document itself (id): names the document"],
        documents: &[
            ("1", Some(r#"{"id":1,"state":{"isGone":false}}"#)),
            ("2", Some(r#"{"id":2,"state":{"isGone":false}}"#)),
            ("3", None),
            ("4", Some(r#"{"id":4,"state":{"isGone":true}}"#)),
            ("5", Some(r#"{"id":5,"state":{"isGone":true}}"#)),
            ("6", None),
        ],
    },
    Golden {
        name: "a_marker_that_is_no_boolean_is_set_when_it_is_not_null",
        tables: "
CREATE TABLE t (id int PRIMARY KEY, gone text);
INSERT INTO t VALUES (1, NULL), (2, ''), (3, '0')",
        schema: "
version: 1
table: t
soft_delete: { column: gone }
fields: [ { integer: id } ]
",
        needs: &["public.t:  | gone id | DEFAULT"],
        ways: &["public.t: the document itself (id): names the document"],
        documents: &[("1", Some(r#"{"id":1}"#)), ("2", None), ("3", None)],
    },
    Golden {
        name: "raw_filters_and_generated_columns_use_every_column",
        tables: "
CREATE TABLE t (id int PRIMARY KEY, price numeric(8,2), tax numeric(8,2) GENERATED ALWAYS AS (price / 4) STORED);
CREATE TABLE c (id int PRIMARY KEY, t int, a int, b int);
INSERT INTO t VALUES (1, 8), (2, NULL);
INSERT INTO c VALUES (1, 1, 1, 2), (2, 1, 3, 2), (3, 1, NULL, 2)",
        schema: "
version: 1
table: t
fields:
  - { decimal: tax }
  - { has_many: less, table: c, foreign_key: t, filters: [ { raw: 'a < c.b' } ], fields: [ { integer: id } ] }
",
        needs: &[
            "public.c: t | everything | FULL",
            "public.t:  | everything | DEFAULT",
        ],
        ways: &[
            "public.c: less (t): names the document",
            "public.t: the document itself (id): names the document",
        ],
        documents: &[
            ("1", Some(r#"{"tax":2.00,"less":[{"id":1}]}"#)),
            ("2", Some(r#"{"tax":null,"less":[]}"#)),
        ],
    },
    Golden {
        name: "names_are_exact_and_schemas_are_inherited",
        tables: r#"
CREATE TABLE other."Root" ("Id" int PRIMARY KEY, "a""b" text, select_ text);
CREATE TABLE other.child (id int PRIMARY KEY, "Root" int);
CREATE TABLE public.tag (id int PRIMARY KEY, "from" text);
CREATE TABLE public.link (root int, tag int, PRIMARY KEY (tag, root));
INSERT INTO other."Root" VALUES (1, 'q', 's'); INSERT INTO other.child VALUES (5, 1);
INSERT INTO tag VALUES (7, 'f'); INSERT INTO link VALUES (1, 7)"#,
        schema: r#"
version: 1
schema: other
table: '"Root"'
fields:
  - { text: quoted, column: '"a""b"' }
  - { text: SELECT_ }
  - { count: children, table: child, foreign_key: '"Root"' }
  - { many_to_many: tags, schema: public, table: tag, through: { table: link, left_key: root, right_key: tag }, fields: [ { text: from } ] }
"#,
        needs: &[
            "other.\"Root\":  | Id a\"b select_ | DEFAULT",
            "other.child: Root | Root | FULL",
            "public.link: root | root tag | DEFAULT",
            "public.tag:  | from id | DEFAULT",
        ],
        ways: &[
            "other.\"Root\": the document itself (Id): names the document",
            "other.child: children (Root): names the document",
            "public.link: tags (junction) (root): names the document",
            "public.tag: tags (id): found by SQL",
        ],
        documents: &[(
            "1",
            Some(r#"{"quoted":"q","SELECT_":"s","children":1,"tags":[{"from":"f"}]}"#),
        )],
    },
    Golden {
        name: "a_document_key_that_is_not_the_primary_key_routes",
        tables: "
CREATE TABLE t (pk int PRIMARY KEY, id text NOT NULL UNIQUE, n int);
CREATE TABLE c (id int PRIMARY KEY, t text, by_pk int);
INSERT INTO t VALUES (1, 'a:b', 5); INSERT INTO c VALUES (1, 'a:b', 1)",
        schema: "
version: 1
table: t
primary_key: id
fields:
  - integer: n
  - { count: byId, table: c, foreign_key: t }
  - { count: byPk, table: c, foreign_key: by_pk, references: pk }
",
        needs: &[
            "public.c: by_pk t | by_pk t | FULL",
            "public.t: id | id n pk | FULL",
        ],
        ways: &[
            "public.c: byId (t): names the document",
            "public.c: byPk (by_pk): found by SQL",
            "public.t: the document itself (id): names the document",
        ],
        documents: &[("a:b", Some(r#"{"n":5,"byId":1,"byPk":1}"#))],
    },
    Golden {
        name: "a_partitioned_root_has_composite_ids",
        tables: "
CREATE TABLE t (day date, no int, note text, PRIMARY KEY (day, no)) PARTITION BY RANGE (day);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE c (id int, day date, no int, n int) PARTITION BY HASH (id);
CREATE TABLE c1 PARTITION OF c FOR VALUES WITH (MODULUS 1, REMAINDER 0);
INSERT INTO t VALUES ('2024-02-29', 1, 'x'); INSERT INTO c VALUES (1, '2024-02-29', 1, 4), (2, '2024-02-29', 1, 5)",
        schema: "
version: 1
table: t
fields:
  - date: day
  - text: note
  - { sum: n, table: c, column: n, value_type: long, foreign_key: [day, no] }
",
        needs: &[
            "public.c: day no | day n no | FULL",
            "public.t:  | day no note | DEFAULT",
        ],
        ways: &[
            "public.c: n (day, no): names the document",
            "public.t: the document itself (day, no): names the document",
        ],
        documents: &[(
            "2024-02-29,1",
            Some(r#"{"day":"2024-02-29","note":"x","n":9}"#),
        )],
    },
    Golden {
        name: "a_root_without_a_primary_key_goes_by_the_key_it_is_given",
        tables: "
CREATE TABLE t (a int NOT NULL, b text NOT NULL, n int, UNIQUE (a, b));
INSERT INTO t VALUES (1, 'x', 5)",
        schema: "
version: 1
table: t
primary_key: [b, a]
fields: [ { integer: n } ]
",
        needs: &["public.t: a b | a b n | FULL"],
        ways: &["public.t: the document itself (b, a): names the document"],
        documents: &[("x,1", Some(r#"{"n":5}"#)), ("x,2", None)],
    },
    Golden {
        name: "several_ways_to_one_table_are_all_followed",
        tables: "
CREATE TABLE people (id int PRIMARY KEY, name text);
CREATE TABLE teams (id int PRIMARY KEY, lead int);
CREATE TABLE tasks (id int PRIMARY KEY, owner int, tester int, team int);
INSERT INTO people VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO teams VALUES (1, 3); INSERT INTO tasks VALUES (1, 1, 2, 1), (2, 1, 1, NULL)",
        schema: "
version: 1
table: tasks
fields:
  - { belongs_to: owner, table: people, column: owner, fields: [ { text: name } ] }
  - { belongs_to: tester, table: people, column: tester, fields: [ { text: name } ] }
  - { belongs_to: team, table: teams, column: team, fields: [ { belongs_to: lead, table: people, column: lead, fields: [ { text: name } ] } ] }
",
        needs: &[
            "public.people:  | id name | DEFAULT",
            "public.tasks:  | id owner team tester | DEFAULT",
            "public.teams:  | id lead | DEFAULT",
        ],
        ways: &[
            "public.people: owner (id): found by SQL",
            "public.people: tester (id): found by SQL",
            "public.people: team.lead (id): found by SQL",
            "public.tasks: the document itself (id): names the document",
            "public.teams: team (id): found by SQL",
        ],
        documents: &[
            (
                "1",
                Some(r#"{"owner":{"name":"a"},"tester":{"name":"b"},"team":{"lead":{"name":"c"}}}"#),
            ),
            (
                "2",
                Some(r#"{"owner":{"name":"a"},"tester":{"name":"a"},"team":null}"#),
            ),
        ],
    },
    Golden {
        name: "members_and_columns_may_be_named_like_the_statements_own",
        tables: "
CREATE TABLE t (id int PRIMARY KEY, o int, j text, r int[]);
CREATE TABLE o (id int PRIMARY KEY, t int, j int, f0 int, c1 int, g1 int);
INSERT INTO t VALUES (1, 5, 'x', '{1,2}'); INSERT INTO o VALUES (3, 1, 4, 5, 6, 7)",
        schema: "
version: 1
table: t
fields:
  - integer: o
  - text: j
  - { integer: r }
  - { object: d, fields: [ { integer: o }, { constant: t0, value: 1 } ] }
  - { has_many: g1, table: o, foreign_key: t, fields: [ { integer: j }, { integer: f0 }, { integer: o, column: c1 } ] }
  - { sum: f0, table: o, column: f0, value_type: long, foreign_key: t }
  - { max: f1, table: o, column: c1, value_type: integer, foreign_key: t }
  - { has_one: rows, table: o, foreign_key: t, fields: [ { integer: o, column: g1 } ] }
",
        needs: &[
            "public.o: t | c1 f0 g1 id j t | FULL",
            "public.t:  | id j o r | DEFAULT",
        ],
        ways: &[
            "public.o: g1 (t): names the document",
            "public.t: the document itself (id): names the document",
        ],
        documents: &[(
            "1",
            Some(
                r#"{"o":5,"j":"x","r":[1,2],"d":{"o":5,"t0":1},"g1":[{"j":4,"f0":5,"o":6}],"f0":5,"f1":6,"rows":{"o":7}}"#,
            ),
        )],
    },
    Golden {
        name: "constants_defaults_transforms_and_points",
        tables: "
CREATE TABLE t (id int PRIMARY KEY, word char(4), words text[], lat float8, lon numeric, place text, price float8, data json, map jsonb);
INSERT INTO t VALUES (1, ' Ab', '{\" X \",NULL,Y}', 1.5, 2, NULL, 'Infinity', E'{\"a\":\\n1}', '{\"k\": 1.50}'), (2, NULL, NULL, 1, NULL, '1,2', NULL, NULL, '[1]')",
        schema: "
version: 1
table: t
fields:
  - { text: word, transforms: [trim, lowercase], default: none }
  - { keyword: padded, column: word }
  - { keyword: words, transforms: [trim] }
  - { geo: at, lat: lat, lon: lon }
  - { geo: place, column: place }
  - { double: price, default: 0 }
  - { json: data }
  - { map: map, values: double }
  - { constant: no, value: null }
  - { constant: list, value: [1, 2] }
  - { constant: exact, value: 1.5 }
",
        needs: &["public.t:  | data id lat lon map place price word words | DEFAULT"],
        ways: &["public.t: the document itself (id): names the document"],
        documents: &[
            (
                "1",
                Some(
                    r#"{"word":"ab","padded":" Ab ","words":["X",null,"Y"],"at":{"lat":1.5,"lon":2},"place":null,"price":0,"data":{"a":1},"map":{"k":1.50},"no":null,"list":[1,2],"exact":1.5}"#,
                ),
            ),
            (
                "2",
                Some(
                    r#"{"word":"none","padded":null,"words":null,"at":null,"place":"1,2","price":0,"data":null,"map":null,"no":null,"list":[1,2],"exact":1.5}"#,
                ),
            ),
        ],
    },
];
