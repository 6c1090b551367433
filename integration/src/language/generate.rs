//! Makes a case from a seed.

use super::case::{Case, IndexFile, Size, Step};

/// The typed form of a case.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
}

pub(super) fn plan(seed: u64, _size: Size) -> Plan {
    Plan { seed }
}

impl Plan {
    /// The texts.
    pub(super) fn render(&self) -> Case {
        let list = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let file = |name: &str, yaml: &str| IndexFile {
            name: name.to_owned(),
            yaml: yaml.to_owned(),
        };
        let step = |texts: &[&str], commit| Step {
            statements: list(texts),
            commit,
        };
        Case {
            seed: self.seed,
            ddl: list(&[
                "CREATE SCHEMA crm",
                "CREATE TABLE shops (id int PRIMARY KEY, name text)",
                "CREATE TABLE orders (id int PRIMARY KEY, shop_id int REFERENCES shops, total numeric)",
                "CREATE TABLE crm.\"Notes\" (\"noteId\" int PRIMARY KEY, order_id int, body text)",
                "ALTER TABLE orders REPLICA IDENTITY FULL",
                "ALTER TABLE crm.\"Notes\" REPLICA IDENTITY FULL",
            ]),
            rows: list(&[
                "INSERT INTO shops (id, name) VALUES ('1', 'a')",
                "INSERT INTO shops (id, name) VALUES ('2', NULL)",
                "INSERT INTO orders (id, shop_id, total) VALUES ('1', '1', '10.50')",
                "INSERT INTO crm.\"Notes\" (\"noteId\", order_id, body) VALUES ('1', '1', 'x')",
            ]),
            indexes: vec![
                file(
                    "one",
                    "version: 1\ntable: shops\nfields:\n  - keyword: name\n  - has_many: orders\n    table: orders\n    foreign_key: shop_id\n    fields: [{ decimal: total }]\n",
                ),
                file(
                    "two",
                    "version: 1\ntable: orders\nfields:\n  - decimal: total\n  - belongs_to: shop\n    column: shop_id\n    table: shops\n    fields: [{ keyword: name }]\n  - { count: notes, schema: crm, table: '\"Notes\"', foreign_key: order_id }\n",
                ),
            ],
            steps: vec![
                step(&["UPDATE orders SET shop_id = '2' WHERE id = '1'"], true),
                step(
                    &[
                        "UPDATE shops SET name = 'b' WHERE id = '2'",
                        "DELETE FROM crm.\"Notes\"",
                    ],
                    true,
                ),
                step(&["DELETE FROM orders"], false),
            ],
            plan: Some(std::sync::Arc::new(self.clone())),
        }
    }
}
