use serde::{Deserialize, Deserializer};

/// Defines a typed 64-bit row id.
///
/// The same type is the column, the path parameter and the number in JSON, so that the id of one
/// table cannot be handed to a query of another.
///
/// ```
/// guildhall_kernel::define_id!(
///     /// A chat room.
///     RoomId
/// );
/// assert_eq!(RoomId(7).to_string(), "7");
/// ```
#[macro_export]
macro_rules! define_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            $crate::__private::serde::Serialize,
            $crate::__private::serde::Deserialize,
            $crate::__private::sea_orm::DeriveValueType,
        )]
        #[serde(crate = "::guildhall_kernel::__private::serde", transparent)]
        pub struct $name(pub i64);

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl $crate::__private::utoipa::PartialSchema for $name {
            fn schema() -> $crate::__private::utoipa::openapi::RefOr<
                $crate::__private::utoipa::openapi::schema::Schema,
            > {
                <i64 as $crate::__private::utoipa::PartialSchema>::schema()
            }
        }

        impl $crate::__private::utoipa::ToSchema for $name {}
    };
}

/// Tells a field that was sent as `null` from one that was not sent.
///
/// On an `Option<Option<T>>`, `#[serde(default, deserialize_with = "guildhall_kernel::present")]`
/// reads an absent field as `None`, `null` as `Some(None)` and a value as `Some(Some(value))`.
pub fn present<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}
