//! Enumerations whose unknown symbols have a safe reading.
//! A newer writer may know more symbols. Avro's `default` of an enumeration
//! says what an older reader takes them for; serde has no such thing for
//! plain enumerations, so `Deserialize` is written here.

use std::fmt;

use serde::de::Visitor;

/// The name of a variant, as any format hands it over.
pub(crate) struct Symbol(pub(crate) String);

impl<'de> serde::Deserialize<'de> for Symbol {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Symbol;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a symbol")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Symbol, E> {
                Ok(Symbol(name.to_owned()))
            }
        }
        from.deserialize_identifier(Name)
    }
}

/// `Deserialize` for an enumeration of plain symbols; unknown ones are read
/// as `$default`, which is the `default` in its schema.
macro_rules! symbols_with_default {
    ($name:ident, $default:ident, [$($symbol:ident),+ $(,)?]) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Symbols;
                impl<'de> serde::de::Visitor<'de> for Symbols {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a symbol of ", stringify!($name)))
                    }

                    fn visit_enum<A: serde::de::EnumAccess<'de>>(
                        self,
                        data: A,
                    ) -> Result<$name, A::Error> {
                        let (symbol, rest) = data.variant::<$crate::wire::symbols::Symbol>()?;
                        serde::de::VariantAccess::unit_variant(rest)?;
                        Ok(match symbol.0.as_str() {
                            $(stringify!($symbol) => $name::$symbol,)+
                            _ => $name::$default,
                        })
                    }
                }
                from.deserialize_enum(
                    stringify!($name),
                    &[$(stringify!($symbol)),+],
                    Symbols,
                )
            }
        }
    };
}
pub(crate) use symbols_with_default;
