//! What people write is not printed.

/// `Debug` that prints the type's name and `(..)`.
macro_rules! redacted {
    ($($type:ident),+ $(,)?) => {
        $(impl ::std::fmt::Debug for $type {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.write_str(concat!(stringify!($type), "(..)"))
            }
        })+
    };
}

pub(super) use redacted;
