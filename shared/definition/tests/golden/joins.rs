//! Joins: every verb with filters, order and limit; composite keys; self-joins.

use crate::Golden;

const FAMILY: &str = "
CREATE TABLE p (id int PRIMARY KEY, ref text UNIQUE);
CREATE TABLE c (id int PRIMARY KEY, p int, rank int, state text, extra text);
INSERT INTO p VALUES (1, 'one'), (2, 'two'), (3, NULL);
INSERT INTO c VALUES (11, 1, 5, 'on', 'x'), (12, 1, NULL, 'on', 'x'), (13, 1, 5, 'on', 'x'), (14, 1, 9, 'off', 'x'), (21, 2, 1, 'off', 'x')";

pub(crate) const GOLDENS: &[Golden] = &[
    Golden {
        name: "has_one_is_the_first_row_in_order",
        tables: FAMILY,
        schema: "
version: 1
table: p
fields:
  - { has_one: plain, table: c, foreign_key: p, fields: [ { integer: id } ] }
  - { has_one: most, table: c, foreign_key: p, order_by: [ { column: rank, direction: desc, nulls: last } ], fields: [ { integer: id } ] }
  - { has_one: unknown, table: c, foreign_key: p, order_by: [ { column: rank, direction: desc } ], fields: [ { integer: id } ] }
  - { has_one: shown, table: c, foreign_key: p, filters: [ { column: state, op: eq, value: on } ], order_by: [ { column: rank } ], fields: [ { integer: id } ] }
",
        needs: &[
            "public.c: p | id p rank state | FULL",
            "public.p:  | id | DEFAULT",
        ],
        ways: &[
            "public.c: plain (p): names the document",
            "public.p: the document itself (id): names the document",
        ],
        documents: &[
            (
                "1",
                Some(r#"{"plain":{"id":11},"most":{"id":14},"unknown":{"id":12},"shown":{"id":11}}"#),
            ),
            (
                "2",
                Some(r#"{"plain":{"id":21},"most":{"id":21},"unknown":{"id":21},"shown":null}"#),
            ),
            (
                "3",
                Some(r#"{"plain":null,"most":null,"unknown":null,"shown":null}"#),
            ),
        ],
    },
    Golden {
        name: "has_many_filters_then_orders_then_limits",
        tables: FAMILY,
        schema: "
version: 1
table: p
fields:
  - { has_many: all, table: c, foreign_key: p, fields: [ { integer: id } ] }
  - { has_many: first, table: c, foreign_key: p, limit: 2, order_by: [ { column: rank, nulls: first } ], fields: [ { integer: id } ] }
  - { has_many: shown, table: c, foreign_key: p, limit: 1, filters: [ { column: state, op: neq, value: off } ], order_by: [ { column: rank, direction: desc, nulls: last }, { column: id, direction: desc } ], fields: [ { integer: id } ] }
",
        needs: &[
            "public.c: p | id p rank state | FULL",
            "public.p:  | id | DEFAULT",
        ],
        ways: &[
            "public.c: all (p): names the document",
            "public.p: the document itself (id): names the document",
        ],
        documents: &[
            (
                "1",
                Some(
                    r#"{"all":[{"id":11},{"id":12},{"id":13},{"id":14}],"first":[{"id":12},{"id":11}],"shown":[{"id":13}]}"#,
                ),
            ),
            ("2", Some(r#"{"all":[{"id":21}],"first":[{"id":21}],"shown":[]}"#)),
            ("3", Some(r#"{"all":[],"first":[],"shown":[]}"#)),
            ("4", None),
        ],
    },
    Golden {
        name: "a_limited_row_has_figures_and_joins_of_its_own",
        tables: "
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE c (id int PRIMARY KEY, p int);
CREATE TABLE g (id int PRIMARY KEY, c int, n int);
INSERT INTO p VALUES (1); INSERT INTO c VALUES (11, 1), (12, 1), (13, 1);
INSERT INTO g VALUES (1, 11, 5), (2, 11, 6), (3, 13, 7)",
        schema: "
version: 1
table: p
fields:
  - has_many: children
    table: c
    foreign_key: p
    limit: 2
    fields:
      - integer: id
      - { count: count, table: g, foreign_key: c }
      - { sum: sum, table: g, column: n, value_type: long, foreign_key: c }
      - { has_many: list, table: g, foreign_key: c, fields: [ { integer: n } ] }
  - has_one: first
    table: c
    foreign_key: p
    order_by: [ { column: id, direction: desc } ]
    fields: [ { integer: id }, { max: most, table: g, column: n, value_type: integer, foreign_key: c } ]
",
        needs: &[
            "public.c: p | id p | FULL",
            "public.g: c | c id n | FULL",
            "public.p:  | id | DEFAULT",
        ],
        ways: &[
            "public.c: children (p): names the document",
            "public.g: children.count (c): found by SQL",
            "public.p: the document itself (id): names the document",
        ],
        documents: &[(
            "1",
            Some(
                r#"{"children":[{"id":11,"count":2,"sum":11,"list":[{"n":5},{"n":6}]},{"id":12,"count":0,"sum":null,"list":[]}],"first":{"id":13,"most":7}}"#,
            ),
        )],
    },
    Golden {
        name: "many_to_many_has_each_row_once",
        tables: "
CREATE TABLE books (id int PRIMARY KEY, isbn text UNIQUE);
CREATE TABLE other.people (id int PRIMARY KEY, nick text UNIQUE, age int);
CREATE TABLE other.wrote (book text, person text, share int);
INSERT INTO books VALUES (1, 'i1'), (2, 'i2');
INSERT INTO other.people VALUES (1, 'ada', 30), (2, 'bo', 50), (3, 'cy', NULL);
INSERT INTO other.wrote VALUES ('i1', 'ada', 1), ('i1', 'ada', 2), ('i1', 'bo', 3), ('i1', 'cy', 4), (NULL, 'bo', 1)",
        schema: "
version: 1
table: books
fields:
  - many_to_many: authors
    schema: other
    table: people
    through: { table: wrote, left_key: book, right_key: person, left_references: isbn, right_references: nick }
    fields: [ { text: nick } ]
  - many_to_many: oldest
    schema: other
    table: people
    through: { table: wrote, left_key: book, right_key: person, left_references: isbn, right_references: nick }
    filters: [ { column: age, op: gte, value: 30 } ]
    order_by: [ { column: age, direction: desc } ]
    limit: 1
    fields: [ { text: nick } ]
",
        needs: &[
            "other.people: nick | age id nick | FULL",
            "other.wrote: book | book person | FULL",
            "public.books:  | id isbn | DEFAULT",
        ],
        ways: &[
            "other.people: authors (nick): found by SQL",
            "other.wrote: authors (junction) (book): found by SQL",
            "public.books: the document itself (id): names the document",
        ],
        documents: &[
            (
                "1",
                Some(
                    r#"{"authors":[{"nick":"ada"},{"nick":"bo"},{"nick":"cy"}],"oldest":[{"nick":"bo"}]}"#,
                ),
            ),
            ("2", Some(r#"{"authors":[],"oldest":[]}"#)),
        ],
    },
    Golden {
        name: "a_composite_key_with_a_null_meets_nothing",
        tables: "
CREATE TABLE halls (venue text, no int, label text, PRIMARY KEY (no, venue), UNIQUE (label, venue));
CREATE TABLE shows (id int PRIMARY KEY, venue text, hall int, label text);
INSERT INTO halls VALUES ('v', 1, 'big'), ('w', 1, 'big');
INSERT INTO shows VALUES (1, 'v', 1, NULL), (2, 'v', NULL, 'big'), (3, 'w', 2, 'big')",
        schema: "
version: 1
table: shows
fields:
  - { belongs_to: hall, table: halls, column: [venue, hall], primary_key: [venue, no], fields: [ { keyword: venue }, { integer: no } ] }
  - { belongs_to: labelled, table: halls, column: [venue, label], references: [venue, label], fields: [ { keyword: venue } ] }
",
        needs: &[
            "public.halls: label venue | label no venue | FULL",
            "public.shows:  | hall id label venue | DEFAULT",
        ],
        ways: &[
            "public.halls: hall (venue, no): found by SQL",
            "public.halls: labelled (venue, label): found by SQL",
            "public.shows: the document itself (id): names the document",
        ],
        documents: &[
            ("1", Some(r#"{"hall":{"venue":"v","no":1},"labelled":null}"#)),
            ("2", Some(r#"{"hall":null,"labelled":{"venue":"v"}}"#)),
            ("3", Some(r#"{"hall":null,"labelled":{"venue":"w"}}"#)),
        ],
    },
    Golden {
        name: "a_self_join_reads_its_own_table_both_ways",
        tables: "
CREATE TABLE staff (id int PRIMARY KEY, boss int, name text);
INSERT INTO staff VALUES (1, NULL, 'a'), (2, 1, 'b'), (3, 1, 'c'), (4, 4, 'd')",
        schema: "
version: 1
table: staff
fields:
  - { belongs_to: boss, table: staff, column: boss, fields: [ { text: name }, { count: team, table: staff, foreign_key: boss } ] }
  - { has_many: team, table: staff, foreign_key: boss, fields: [ { text: name } ] }
",
        needs: &["public.staff: boss | boss id name | FULL"],
        ways: &[
            "public.staff: the document itself (id): names the document",
            "public.staff: boss (id): found by SQL",
            "public.staff: boss.team (boss): found by SQL",
            "public.staff: team (boss): names the document",
        ],
        documents: &[
            ("1", Some(r#"{"boss":null,"team":[{"name":"b"},{"name":"c"}]}"#)),
            ("2", Some(r#"{"boss":{"name":"a","team":2},"team":[]}"#)),
            ("4", Some(r#"{"boss":{"name":"d","team":1},"team":[{"name":"d"}]}"#)),
        ],
    },
];
