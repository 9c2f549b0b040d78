//! Values of a request as types of the policy's author, for serde.
//!
//! Maps and lists are handed out piece by piece as the bytes they are, so that what a type has no field for costs
//! nothing; what is no map and no list is read by rmp-serde. A list is never a struct here, as it is to rmp-serde.

use core::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::raw::{Items, Pairs, Raw};

/// A value that is not of the type that was asked for. Why is not said: a policy that cannot read its request traps.
#[derive(Debug)]
pub struct Misfit;

impl fmt::Display for Misfit {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("the value is not of this type")
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Misfit
    }
}

impl From<rmp_serde::decode::Error> for Misfit {
    fn from(_: rmp_serde::decode::Error) -> Self {
        Misfit
    }
}

type Read<T> = Result<T, Misfit>;

impl<'de> Deserializer<'de> for Raw<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self {
            _ if self.is_map() => visitor.visit_map(self.pairs()),
            _ if self.is_list() => whole(self.items(), visitor),
            _ if self.binary().is_some() => Err(Misfit), // JSON has none, and rmp-serde takes it for text
            _ => Ok(rmp_serde::Deserializer::from_read_ref(self.bytes()).deserialize_any(visitor)?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.is_nil() {
            true => visitor.visit_none(),
            false => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        match self.is_map() {
            true => visitor.visit_map(self.pairs()),
            false => Err(Misfit),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        Ok(rmp_serde::Deserializer::from_read_ref(self.bytes()).deserialize_enum(name, variants, visitor)?)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

/// A list of which nothing is left over, as a tuple would leave it.
fn whole<'de, V: Visitor<'de>>(mut items: Items<'de>, visitor: V) -> Read<V::Value> {
    let value = visitor.visit_seq(&mut items)?;
    match items.next() {
        None => Ok(value),
        Some(_) => Err(Misfit),
    }
}

impl<'de> MapAccess<'de> for Pairs<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        let Some(key) = self.next_key() else { return Ok(None) };
        let key = core::str::from_utf8(key).map_err(|_| Misfit)?;
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Read<V::Value> {
        seed.deserialize(self.next_value())
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        self.next().map(|item| seed.deserialize(item)).transpose()
    }
}
