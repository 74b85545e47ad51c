use super::*;

#[test]
fn with_tls_before_the_sentinels_there_is_tls_before_the_server() {
    for (url, encrypted) in [("rediss-sentinel://:pw@one/3#shop", true), ("redis-sentinel://one#shop", false)]
    {
        let Ok(RedisUrl { kind: Kind::Sentinel { node, .. }, .. }) = url.parse() else { panic!("{url}") };
        let tls_mode = behind_sentinel(&node).expect("a server").tls_mode;
        assert_eq!(matches!(tls_mode, Some(TlsMode::Secure)), encrypted, "{url}: {tls_mode:?}");
    }
}
