//! Where a request comes from, whatever it claims.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderName};

use crate::config::TrustedProxies;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The last address on the way here that somebody trusted vouches for. Each proxy adds, on the right, whom it was asked
/// by; what stands left of an address that is not trusted, that one may have invented.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &TrustedProxies) -> IpAddr {
    let mut client = peer.to_canonical();
    if !proxies.contain(client) {
        return client;
    }
    let lines: Vec<_> = headers.get_all(FORWARDED_FOR).collect();
    let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops {
        // What cannot be read cannot be followed.
        let Some(address) = address(hop) else { return client };
        client = address;
        if !proxies.contain(client) {
            return client;
        }
    }
    client
}

/// An address as proxies write it; some add a port.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop).ok()?.trim();
    let without_port = || hop.parse().map(|address: SocketAddr| address.ip()).ok();
    let in_brackets = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address: IpAddr = hop.parse().ok().or_else(without_port).or_else(in_brackets)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    /// Proxies are at 10.x.x.x and 2001:db8::/32.
    fn client(peer: &str, forwarded_for: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded_for {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap());
        }
        let proxies = "10.0.0.0/8, 2001:db8::/32".parse().unwrap();
        client_address(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn whoever_is_no_proxy_speaks_for_itself_only() {
        for claimed in [&b"203.0.113.1"[..], b"10.0.0.1", b"127.0.0.1", b"nonsense"] {
            assert_eq!(client("192.0.2.1", &[claimed]), "192.0.2.1");
        }
        assert_eq!(client("::1", &[b"203.0.113.1"]), "::1");
    }

    #[test]
    fn a_proxy_tells_whom_it_was_asked_by() {
        assert_eq!(client("10.0.0.1", &[b"203.0.113.1"]), "203.0.113.1");
        assert_eq!(client("10.0.0.1", &[b"203.0.113.1,10.0.0.3, 10.0.0.2"]), "203.0.113.1");
        assert_eq!(client("10.0.0.1", &[b"203.0.113.1", b"10.0.0.2"]), "203.0.113.1");
        assert_eq!(client("2001:db8::1", &[b"2001:db9::5"]), "2001:db9::5");
    }

    #[test]
    fn what_a_client_invents_stands_further_left_and_is_not_believed() {
        assert_eq!(client("10.0.0.1", &[b"198.51.100.9, 203.0.113.1"]), "203.0.113.1");
        assert_eq!(client("10.0.0.1", &[b"10.0.0.9, 203.0.113.1, 10.0.0.2"]), "203.0.113.1");
        assert_eq!(client("10.0.0.1", &[b"198.51.100.9", b"203.0.113.1"]), "203.0.113.1");
        assert_eq!(client("10.0.0.1", &[b"unknown, \xff, , 203.0.113.1"]), "203.0.113.1");
    }

    #[test]
    fn what_cannot_be_read_ends_at_the_last_good_hop() {
        for malformed in
            [&b"unknown"[..], b"", b"203.0.113.1;", b"203.0.113.256", b"\xff", b"[::1", b"1.2.3.4:x"]
        {
            assert_eq!(client("10.0.0.1", &[malformed]), "10.0.0.1");
            assert_eq!(client("10.0.0.1", &[malformed, b"10.0.0.2"]), "10.0.0.2");
        }
    }

    #[test]
    fn where_all_are_proxies_the_first_of_them_asks() {
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[b"10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn addresses_are_read_in_every_notation() {
        for written in [&b"203.0.113.1:4711"[..], b"::ffff:203.0.113.1", b"\t203.0.113.1 "] {
            assert_eq!(client("10.0.0.1", &[written]), "203.0.113.1");
        }
        for written in [&b"2001:db9::5"[..], b"[2001:db9::5]", b"[2001:db9::5]:4711"] {
            assert_eq!(client("10.0.0.1", &[written]), "2001:db9::5");
        }
        // As a socket for both versions tells it.
        assert_eq!(client("::ffff:10.0.0.1", &[b"203.0.113.1"]), "203.0.113.1");
    }
}
