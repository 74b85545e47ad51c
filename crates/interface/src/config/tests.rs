use super::*;

fn load(environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Settings, SettingsError> {
    load_with_file(None, environment, flags)
}

fn load_with_file(
    toml: Option<&str>,
    environment: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.toml");
    std::fs::write(&file, toml.unwrap_or_default()).unwrap();
    Settings::load(&Sources {
        file: Some(file),
        environment: environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        flags: flags.iter().map(|&(key, value)| (key, value.to_owned())).collect(),
    })
}

fn message(result: Result<Settings, SettingsError>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn without_anything_set_the_defaults_hold() {
    assert_eq!(load(&[], &[]).unwrap(), Settings::default());
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let toml = Some("batch_size = 1\nbatch_queue_length = 2\nlisten = \"127.0.0.1:1\"");
    let environment = [("JANGTEO_BATCH_QUEUE_LENGTH", "3"), ("JANGTEO_LISTEN", "127.0.0.1:2"), ("HOME", "/")];
    let settings = load_with_file(toml, &environment, &[("listen", "127.0.0.1:3")]).unwrap();
    assert_eq!(settings.batch_size.get(), 1);
    assert_eq!(settings.batch_queue_length.get(), 3);
    assert_eq!(settings.listen.port(), 3);
}

#[test]
fn amounts_are_exact_in_every_notation() {
    for toml in ["wallet_max_balance = 2500000.10", "wallet_max_balance = \"2500000.10\""] {
        let settings = load_with_file(Some(toml), &[], &[]).unwrap();
        assert_eq!(settings.wallet_max_balance, Money::from_minor(250_000_010));
    }
    let settings = load(&[("JANGTEO_WALLET_MIN_CHARGE", "0.01")], &[]).unwrap();
    assert_eq!(settings.wallet_min_charge, Money::from_minor(1));
}

#[test]
fn an_unknown_setting_is_named_with_its_place() {
    let unknown = message(load(&[("JANGTEO_LISTN", "127.0.0.1:1")], &[]));
    assert!(unknown.contains("`listn`") && unknown.contains("JANGTEO_LISTN"), "{unknown}");
    let unknown = message(load_with_file(Some("[server]\nport = 1"), &[], &[]));
    assert!(unknown.contains("`server`") && unknown.contains("shop.toml"), "{unknown}");
}

#[test]
fn a_value_that_cannot_be_used_is_named_with_its_place() {
    let refused = message(load(&[("JANGTEO_BATCH_SIZE", "0")], &[]));
    assert!(refused.contains("`batch_size`") && refused.contains("JANGTEO_BATCH_SIZE"), "{refused}");
    let refused = message(load_with_file(Some("log = \"jangteo=loud\""), &[], &[]));
    assert!(refused.contains("`log`") && refused.contains("shop.toml"), "{refused}");
    for (interval, reason) in [("0", "zero"), ("86400001", "a day")] {
        let refused = message(load(&[("JANGTEO_JOB_INTERVAL_MS", interval)], &[]));
        assert!(refused.contains("`job_interval_ms`") && refused.contains(reason), "{refused}");
    }
    for key in ["listen", "worker_listen"] {
        let refused = message(load(&[], &[(key, "here")]));
        assert!(refused.contains(&format!("`{key}` from the flag --listen")), "{refused}");
    }
    let refused = message(load_with_file(Some("log_format = true"), &[], &[]));
    assert!(refused.contains("`log_format`"), "{refused}");
}

#[test]
fn a_time_that_is_absurd_is_refused() {
    for (key, most, reason) in [
        ("batch_deadline_ms", 600_000, "more than 600000, ten minutes"),
        ("product_cache_ms", 60_000, "more than 60000, a minute"),
        ("popular_cache_ms", 60_000, "more than 60000, a minute"),
        ("redis_timeout_ms", 60_000, "more than 60000, a minute"),
        ("job_interval_ms", 86_400_000, "more than 86400000, a day"),
    ] {
        let longest = load(&[], &[(key, &most.to_string())]);
        assert!(longest.is_ok(), "{key}: {longest:?}");
        for longer in [most + 1, u64::MAX] {
            let refused = message(load(&[], &[(key, &longer.to_string())]));
            let flag = format!("--{}", key.replace('_', "-"));
            assert_eq!(refused, format!("setting `{key}` from the flag {flag}: {reason}"));
        }
    }
}

#[test]
fn a_password_is_never_shown() {
    let url = "mysql://shop:se@cret@db:3306/shop?ssl-key=se@cret";
    let settings = load(&[("JANGTEO_DATABASE_URL", url)], &[]).unwrap();
    assert_eq!(settings.database_url.to_string(), "mysql://shop:***@db:3306/shop");
    assert!(!format!("{settings:?}").contains("se@cret"));
    for toml in ["database_url = \"postgres://a:secret@b\"", "database_url = \"mysql://a:secret@b"] {
        let refused = message(load_with_file(Some(toml), &[], &[]));
        assert!(!refused.contains("secret"), "{refused}");
    }
}

#[test]
fn an_address_that_others_reach_needs_the_authentication_said() {
    let refused = message(load(&[("JANGTEO_LISTEN", "0.0.0.0:8080")], &[]));
    assert!(refused.contains("JANGTEO_AUTH=header"), "{refused}");
    let settings = load(&[("JANGTEO_LISTEN", "0.0.0.0:8080"), ("JANGTEO_AUTH", "header")], &[]).unwrap();
    assert_eq!(settings.auth, Some(Authentication::Header));
    assert!(load(&[("JANGTEO_AUTH", "")], &[]).unwrap().auth.is_none());
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn tokens_need_something_to_check_them_with() {
    let jwt = ("JANGTEO_AUTH", "jwt");
    let reachable = ("JANGTEO_LISTEN", "0.0.0.0:8080");
    let refused = message(load(&[jwt], &[]));
    assert!(refused.contains("`jwt_secret`") && refused.contains("`jwt_public_key`"), "{refused}");
    for key in [("JANGTEO_JWT_SECRET", SECRET), ("JANGTEO_JWT_PUBLIC_KEY", "shop.pem")] {
        let settings = load(&[jwt, reachable, key], &[]).unwrap();
        assert_eq!((settings.authentication(), settings.jwt_leeway_s), (Authentication::Jwt, 30));
    }
}

#[test]
fn several_keys_are_a_list_or_separated_by_commas() {
    let jwt = ("JANGTEO_AUTH", "jwt");
    let secrets = format!("{SECRET}, {SECRET}+");
    let environment =
        [jwt, ("JANGTEO_JWT_SECRET", &*secrets), ("JANGTEO_JWT_PUBLIC_KEY", "a.pem, 2025=b.pem")];
    let settings = load(&environment, &[]).unwrap();
    assert_eq!(settings.jwt_secret.iter().collect::<Vec<_>>(), [SECRET, &format!("{SECRET}+")]);
    let toml =
        format!("jwt_secret = [\"{SECRET}\", \"{SECRET}+\"]\njwt_public_key = [\"a.pem\", \"2025 = b.pem\"]");
    assert_eq!(load_with_file(Some(&toml), &[jwt], &[]).unwrap(), settings);

    let pem = "-----BEGIN PUBLIC KEY-----\nMCow==\n-----END PUBLIC KEY-----";
    let named = format!("a.b={pem},{pem}");
    let settings = load(&[jwt, ("JANGTEO_JWT_PUBLIC_KEY", &named)], &[]).unwrap();
    let kids: Vec<_> = settings.jwt_public_key.iter().map(|key| key.kid.as_deref()).collect();
    assert_eq!(kids, [Some("a.b"), None]);
    assert!(settings.jwt_public_key.iter().all(|key| key.pem == Pem::Inline(pem.to_owned())));
}

#[test]
fn a_secret_is_long_and_never_shown() {
    let jwt = ("JANGTEO_AUTH", "jwt");
    for secret in
        ["hush", "hush, it is a long one, but in parts it is not", "hush hush hush hush hush hush h"]
    {
        let refused = message(load(&[jwt, ("JANGTEO_JWT_SECRET", secret)], &[]));
        assert!(refused.contains("JANGTEO_JWT_SECRET: a secret must have at least 32 bytes"), "{refused}");
        assert!(!refused.contains("hush"), "{refused}");
    }
    let settings = load(&[jwt, ("JANGTEO_JWT_SECRET", SECRET)], &[]).unwrap();
    assert!(!format!("{settings:?}").contains(SECRET));
    for toml in
        ["jwt_secret = []", "jwt_secret = 7", "jwt_public_key = [\"\"]", "jwt_public_key = \"=a.pem\""]
    {
        assert!(message(load_with_file(Some(toml), &[jwt], &[])).contains("`jwt_"), "{toml}");
    }
}

#[test]
fn who_sets_up_tokens_is_told_when_none_are_asked_for() {
    for setting in [
        ("JANGTEO_JWT_SECRET", SECRET),
        ("JANGTEO_JWT_PUBLIC_KEY", "shop.pem"),
        ("JANGTEO_JWT_AUDIENCE", "shop"),
        ("JANGTEO_JWT_ISSUER", "https://login.example"),
        ("JANGTEO_JWT_LEEWAY_S", "0"),
    ] {
        for environment in [&[setting][..], &[setting, ("JANGTEO_AUTH", "header")]] {
            let refused = message(load(environment, &[]));
            assert!(refused.contains(setting.0) && refused.contains("`auth` is not jwt"), "{refused}");
        }
    }
    let late = message(load(&[("JANGTEO_JWT_LEEWAY_S", "301")], &[]));
    assert!(late.ends_with("more than 300, five minutes"), "{late}");
}

#[test]
fn requests_are_limited_where_others_can_send_them_unless_it_is_said_otherwise() {
    let limited = |environment: &[(&str, &str)]| load(environment, &[]).unwrap().limits_requests();
    let reachable = [("JANGTEO_LISTEN", "0.0.0.0:8080"), ("JANGTEO_AUTH", "header")];
    assert!(!limited(&[]));
    assert!(limited(&reachable));
    assert!(limited(&[("JANGTEO_RATE_LIMIT", "on")]));
    assert!(!limited(&[reachable[0], reachable[1], ("JANGTEO_RATE_LIMIT", "off")]));
}

#[test]
fn quotas_are_requests_in_a_time() {
    let environment = [("JANGTEO_RATE_LIMIT_USER_READS", "7/1m")];
    let toml = Some("rate_limit_address_claims = \"1000/1h\"");
    let settings = load_with_file(toml, &environment, &[]).unwrap();
    assert_eq!(settings.rate_limit_user_reads.to_string(), "7/1m");
    assert_eq!(settings.rate_limit_address_claims.to_string(), "1000/1h");
    assert_eq!(settings.rate_limit_user_writes.to_string(), "50/10s");
}

#[test]
fn trusted_proxies_are_addresses_and_networks() {
    let environment = [("JANGTEO_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7,2001:db8::/32")];
    let proxies = load(&environment, &[]).unwrap().trusted_proxies;
    for trusted in ["10.255.0.1", "192.0.2.7", "2001:db8:1::1"] {
        assert!(proxies.contain(trusted.parse().unwrap()), "{trusted}");
    }
    for other in ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::1"] {
        assert!(!proxies.contain(other.parse().unwrap()), "{other}");
    }
}

#[test]
fn a_file_that_is_asked_for_must_exist() {
    let sources = Sources { file: Some("missing.toml".into()), ..Sources::default() };
    assert!(message(Settings::load(&sources)).contains("missing.toml"));
}

#[test]
fn a_refusal_gives_the_reason_and_what_would_do_and_nothing_of_the_parser() {
    for (key, value, reason) in [
        (
            "listen",
            "localhost:80",
            "invalid socket address syntax; use an address and a port such as 127.0.0.1:8080",
        ),
        ("auth", "oauth", "must be header or jwt"),
        ("rate_limit", "yes", "must be on or off"),
        (
            "rate_limit_user_reads",
            "100 per second",
            "must be a number of requests and the time that gives them back, such as 100/10s, 1000/1m or 5000/1h",
        ),
        ("rate_limit_address_writes", "100/48h", "the time after the slash must be from 1s to 24h"),
        (
            "trusted_proxies",
            "10.0.0.0/8, gateway",
            "must be addresses or networks, separated by commas, such as 10.0.0.0/8, 192.0.2.7",
        ),
        (
            "database_url",
            "postgres://a/b",
            "must be sqlite://path or mysql://user:password@host:port/database, such as sqlite://data/jangteo.db",
        ),
    ] {
        let flag = format!("--{}", key.replace('_', "-"));
        let refused = message(load(&[], &[(key, value)]));
        assert_eq!(refused, format!("setting `{key}` from the flag {flag}: {reason}"));
    }
}

#[test]
fn events_go_to_the_log_or_to_a_platform() {
    let events = |text: &str| load(&[("JANGTEO_EVENTS", text)], &[]).unwrap().events.to_string();
    assert_eq!(load(&[], &[]).unwrap().events.to_string(), "log");
    for text in ["log", "http://platform:8090/events", "kafka://one:9092,two:9092/orders"] {
        assert_eq!(events(text), text);
    }
    for (text, reason) in [
        (
            "platform:8090",
            "must be log, http://HOST/PATH, https://HOST/PATH or kafka://HOST:PORT,HOST:PORT/TOPIC",
        ),
        ("kafka://one:9092/a b", "a topic has up to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`"),
    ] {
        let refused = message(load(&[("JANGTEO_EVENTS", text)], &[]));
        let place = "setting `events` from the environment variable JANGTEO_EVENTS";
        assert_eq!(refused, format!("{place}: {reason}"));
    }
}

#[test]
fn headers_and_properties_are_a_table_or_a_list() {
    let toml = "
        events = \"kafka://one/orders\"
        [events_headers]
        x-shop = 7
        [events_kafka]
        linger.ms = 2.5
        \"compression.type\" = \"gzip, or so\"
    ";
    let refused = message(load_with_file(Some(toml), &[], &[]));
    assert!(
        refused.ends_with("shop.toml: librdkafka takes no such value for `compression.type`"),
        "{refused}"
    );
    let toml = toml.replace("gzip, or so", "none");
    let settings = load_with_file(Some(&toml), &[], &[]).unwrap();
    let environment = [
        ("JANGTEO_EVENTS", "kafka://one/orders"),
        ("JANGTEO_EVENTS_HEADERS", "X-Shop=7"),
        ("JANGTEO_EVENTS_KAFKA", "linger.ms=2.5, compression.type=none"),
    ];
    assert_eq!(load(&environment, &[]).unwrap(), settings);
    let other = load_with_file(Some(&toml), &[("JANGTEO_EVENTS_KAFKA", "linger.ms=1")], &[]).unwrap();
    assert_ne!(other.events_kafka, settings.events_kafka);
    for (toml, reason) in [
        ("events_kafka = 7", "expected name=value,name=value or a table"),
        ("[events_kafka]\nlinger = [1]", "values must be texts, numbers, true or false"),
        ("[events_kafka]\nlinger.time = 1", "librdkafka has no property `linger.time`"),
        ("events_headers = \"x-shop\"", "a value with a comma in it can stand in a table"),
    ] {
        let refused = message(load_with_file(Some(toml), &[], &[]));
        assert!(refused.contains("shop.toml: ") && refused.contains(reason), "{refused}");
    }
}

#[test]
fn a_setting_for_another_platform_is_refused() {
    let secret = ("JANGTEO_EVENTS_HTTP_SECRET", "0123456789abcdef");
    let (batch, headers) = (("JANGTEO_EVENTS_HTTP_BATCH", "10"), ("JANGTEO_EVENTS_HEADERS", "a=b"));
    let kafka = ("JANGTEO_EVENTS_KAFKA", "linger.ms=1");
    for (events, setting, refused) in [
        ("log", secret, true),
        ("log", headers, true),
        ("http://platform/", secret, false),
        ("http://platform/", batch, false),
        ("http://platform/", headers, false),
        ("http://platform/", kafka, true),
        ("kafka://one/orders", secret, true),
        ("kafka://one/orders", batch, true),
        ("kafka://one/orders", headers, false),
        ("kafka://one/orders", kafka, false),
    ] {
        let loaded = load(&[("JANGTEO_EVENTS", events), setting], &[]);
        assert_eq!(loaded.is_err(), refused, "{events} {}", setting.0);
        if let Err(error) = loaded {
            let problem = error.to_string();
            assert!(problem.contains(setting.0) && problem.contains(events), "{problem}");
        }
    }
}

#[test]
fn what_only_the_platform_should_know_is_never_shown() {
    let settings = load(
        &[
            ("JANGTEO_EVENTS", "https://shop:hush@platform/events?token=hush"),
            ("JANGTEO_EVENTS_HEADERS", "authorization=hush"),
            ("JANGTEO_EVENTS_HTTP_SECRET", "hush, it is a long one"),
        ],
        &[],
    );
    assert!(!format!("{:?}", settings.unwrap()).contains("hush"));
    for (key, value) in [
        ("JANGTEO_EVENTS", "https://shop:hush@platform/#"),
        ("JANGTEO_EVENTS_HEADERS", "authorization=hush\nhush"),
        ("JANGTEO_EVENTS_HTTP_SECRET", "hush"),
        ("JANGTEO_EVENTS_KAFKA", "linger.ms=hush"),
    ] {
        let refused = message(load(&[(key, value)], &[]));
        assert!(refused.contains(key) && !refused.contains("hush"), "{refused}");
    }
}

#[test]
fn a_misspelt_setting_is_told_how_it_is_spelt() {
    let unknown = message(load(&[("JANGTEO_DATABASE_ULR", "sqlite://a")], &[]));
    assert!(unknown.contains("did you mean `database_url`?"), "{unknown}");
    let unknown = message(load_with_file(Some("colour = 1"), &[], &[]));
    assert!(!unknown.contains("did you mean"), "{unknown}");
}

#[test]
fn the_file_of_an_sqlite_database_is_known_and_mysql_has_none() {
    let file = |url: &str| url.parse::<DatabaseUrl>().unwrap().sqlite_file().map(Path::to_owned);
    assert_eq!(file("sqlite://data/shop.db?mode=rwc"), Some("data/shop.db".into()));
    assert_eq!(file("sqlite:///var/shop.db"), Some("/var/shop.db".into()));
    assert_eq!(file("sqlite://a%20b.db"), None);
    assert_eq!(file("mysql://a/b"), None);
}
