//! Who is counted as one network neighbour when limits are applied.

use std::fmt;
use std::net::IpAddr;

/// An IPv4 address, or the first 64 bits of an IPv6 address: one subscriber usually has all the rest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum NetworkAddress {
    /// A whole IPv4 address.
    V4([u8; 4]),
    /// The first 8 bytes of an IPv6 address.
    V6([u8; 8]),
}

impl From<IpAddr> for NetworkAddress {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl fmt::Debug for NetworkAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("..")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_subscriber_count_as_one() {
        let network = |text: &str| NetworkAddress::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.2"), network("192.0.2.1"));
    }
}
