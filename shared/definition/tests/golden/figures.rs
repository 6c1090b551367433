//! Figures: by foreign key and through a junction, with filters, over no rows; several over the
//! same rows, beside their list.

use crate::Golden;

pub(crate) const GOLDENS: &[Golden] = &[
    Golden {
        name: "figures_over_the_same_rows_are_read_together",
        tables: "
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE c (a int, b text, p int, n int, price numeric(8,2), at date, state text, PRIMARY KEY (a, b));
INSERT INTO p VALUES (1), (2);
INSERT INTO c VALUES (2, 'x:y', 1, 4, 1.50, '2024-01-02', 'on'), (1, 'z', 1, NULL, 2.25, 'infinity', 'on'), (1, 'a', 1, 5, 'NaN', '2024-01-01', 'off')",
        schema: "
version: 1
table: p
fields:
  - { count: count, table: c, foreign_key: p }
  - { sum: sum, table: c, column: n, value_type: long, foreign_key: p }
  - { avg: avg, table: c, column: n, foreign_key: p }
  - { min: first, table: c, column: at, value_type: date, foreign_key: p }
  - { max: last, table: c, column: at, value_type: date, foreign_key: p }
  - { max: word, table: c, column: n, value_type: keyword, foreign_key: p }
  - { ids: ids, table: c, element_type: keyword, foreign_key: p }
  - { has_many: list, table: c, foreign_key: p, order_by: [ { column: n } ], fields: [ { integer: n }, { decimal: price } ] }
  - { has_many: top, table: c, foreign_key: p, limit: 1, fields: [ { integer: n } ] }
  - { count: on, table: c, foreign_key: p, filters: [ { column: state, op: eq, value: on } ] }
  - { sum: paid, table: c, column: price, value_type: decimal, foreign_key: p, filters: [ { column: state, op: eq, value: on } ] }
",
        needs: &[
            "public.c: p | a at b n p price state | FULL",
            "public.p:  | id | DEFAULT",
        ],
        ways: &[
            "public.c: count (p): names the document",
            "public.p: the document itself (id): names the document",
        ],
        documents: &[
            (
                "1",
                Some(
                    r#"{"count":3,"sum":9,"avg":4.5,"first":"2024-01-01","last":null,"word":"5","ids":["1:a","1:z","2:x\\:y"],"list":[{"n":4,"price":1.50},{"n":5,"price":null},{"n":null,"price":2.25}],"top":[{"n":5}],"on":2,"paid":3.75}"#,
                ),
            ),
            (
                "2",
                Some(
                    r#"{"count":0,"sum":null,"avg":null,"first":null,"last":null,"word":null,"ids":[],"list":[],"top":[],"on":0,"paid":null}"#,
                ),
            ),
        ],
    },
    Golden {
        name: "figures_through_a_junction_count_each_row_once",
        tables: "
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE t (id uuid PRIMARY KEY, weight float8, label text);
CREATE TABLE j (p int, t uuid);
INSERT INTO p VALUES (1), (2);
INSERT INTO t VALUES ('00000000-0000-0000-0000-000000000001', 1.5, 'a'), ('00000000-0000-0000-0000-000000000002', 2, 'b'), ('00000000-0000-0000-0000-000000000003', 'NaN', 'b');
INSERT INTO j VALUES (1, '00000000-0000-0000-0000-000000000001'), (1, '00000000-0000-0000-0000-000000000001'), (1, '00000000-0000-0000-0000-000000000002'), (2, '00000000-0000-0000-0000-000000000003')",
        schema: "
version: 1
table: p
fields:
  - { count: count, table: t, through: { table: j, left_key: p, right_key: t } }
  - { sum: weight, table: t, column: weight, value_type: double, through: { table: j, left_key: p, right_key: t } }
  - { min: least, table: t, column: weight, value_type: double, filters: [ { column: label, op: eq, value: b } ], through: { table: j, left_key: p, right_key: t } }
  - { min: id, table: t, column: id, value_type: uuid, through: { table: j, left_key: p, right_key: t } }
  - { ids: ids, table: t, element_type: uuid, through: { table: j, left_key: p, right_key: t } }
",
        needs: &[
            "public.j: p | p t | FULL",
            "public.p:  | id | DEFAULT",
            "public.t:  | id label weight | DEFAULT",
        ],
        ways: &[
            "public.j: count (junction) (p): names the document",
            "public.p: the document itself (id): names the document",
            "public.t: count (id): found by SQL",
        ],
        documents: &[
            (
                "1",
                Some(
                    r#"{"count":2,"weight":3.5,"least":2,"id":"00000000-0000-0000-0000-000000000001","ids":["00000000-0000-0000-0000-000000000001","00000000-0000-0000-0000-000000000002"]}"#,
                ),
            ),
            (
                "2",
                Some(
                    r#"{"count":1,"weight":null,"least":null,"id":"00000000-0000-0000-0000-000000000003","ids":["00000000-0000-0000-0000-000000000003"]}"#,
                ),
            ),
        ],
    },
];
