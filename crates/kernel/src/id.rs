/// Defines a typed 64-bit row id.
///
/// The same type is the column, the path parameter and the number in JSON, so that the id of one
/// table cannot be used in a query of another.
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

        impl $crate::openapi::PathParameters for $name {
            fn schemas() -> ::std::vec::Vec<
                $crate::__private::utoipa::openapi::RefOr<$crate::__private::utoipa::openapi::schema::Schema>,
            > {
                vec![<Self as $crate::__private::utoipa::PartialSchema>::schema()]
            }
        }
    };
}
