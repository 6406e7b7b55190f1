//! The meaning of a URL, and its redacted form.

use super::*;
use proptest::prelude::*;

#[test]
fn urls_are_read_as_redis_cli_reads_them() {
    for (url, shown) in [
        ("redis://127.0.0.1", "127.0.0.1:6379"),
        ("redis://user:secret@cache-1:7000/2", "cache-1:7000/2"),
        ("redis://:p%40ss@[::1]:7000", "[::1]:7000"),
        ("valkey://cache-1", "cache-1:6379"),
        ("cache-1", "cache-1:6379"),
        ("cache-1:7000", "cache-1:7000"),
        ("unix:///run/redis.sock?db=3", "/run/redis.sock/3"),
        ("unix:///run/redis@main.sock", "/run/redis@main.sock"),
        ("redis://h/", "h:6379"),
    ] {
        assert_eq!(Endpoint::parse(url, &Login::default()).unwrap().to_string(), shown, "{url}");
    }
}

#[test]
fn user_and_password_of_the_url_precede_the_default() {
    for (url, user, password, expected) in [
        ("redis://h", Some("lk"), Some("file"), Ok(Some((Some("lk"), "file")))),
        ("redis://:url@h", Some("lk"), Some("file"), Ok(Some((Some("lk"), "url")))),
        ("redis://me:url@h", Some("lk"), Some("file"), Ok(Some((Some("me"), "url")))),
        ("redis://:p%40ss@h", Some("lk"), Some("file"), Ok(Some((Some("lk"), "p@ss")))),
        ("redis://me@h", Some("lk"), Some("file"), Ok(Some((Some("me"), "file")))),
        ("redis://me@h", None, Some("file"), Ok(Some((Some("me"), "file")))),
        ("redis://:url@h", Some("lk"), None, Ok(Some((Some("lk"), "url")))),
        ("redis://h", None, Some("file"), Ok(Some((None, "file")))),
        ("redis://h", None, None, Ok(None)),
        ("redis://h", Some("lk"), None, Err(())),
        ("redis://me@h", None, None, Err(())),
    ] {
        let default =
            Login { user: user.map(str::to_owned), password: password.map(str::to_owned) };
        let endpoint = Endpoint::parse(url, &default);
        let credentials = endpoint.as_ref().map(Endpoint::credentials).map_err(|_| ());
        let seen = credentials.map(|it| it.map(|it| (it.user.as_deref(), it.password.as_str())));
        assert_eq!(seen, expected, "{url}, {user:?}, {password:?}");
    }
}

#[test]
fn of_a_url_that_cannot_be_understood_only_the_scheme_is_shown() {
    for (url, shown) in [
        ("redis://user:secret@host:notaport", "redis://…"),
        ("rediss://:secret@host:notaport", "rediss://…"),
        ("http://:secret@host", "http://…"),
        ("secret://:secret@host", "redis://…"),
        ("user:sec@ret@host:notaport", "redis://…"),
        ("unix:?pass=secret", "redis://…"),
        ("redis:/:secret", "redis://…"),
        ("redis://:secret", "redis://…"),
        ("redis://user:secret", "redis://…"),
        ("user:5secret/2", "redis://…"),
        ("", "redis://…"),
        // Passwords that contain a separator: the rest would be read as a host, a port, a database
        // or a parameter.
        ("redis://u:x@sec/ret@host", "redis://…"),
        ("redis://u:x@sec?ret@host", "redis://…"),
        ("redis://u:x@sec?ret=1@host", "redis://…"),
        ("redis://u:x@sec#ret@host", "redis://…"),
        ("redis://sec#ret", "redis://…"),
        ("redis://u:1?secret@host", "redis://…"),
        ("redis://u:1/secret@host", "redis://…"),
        ("redis://sec,ret", "redis://…"),
        ("unix://u:x@/sec@/run/ret", "unix://…"),
        ("unix://u:sec/run/ret", "unix://…"),
    ] {
        let error = Endpoint::parse(url, &Login::default()).unwrap_err().to_string();
        assert!(error.contains(&format!("'{shown}'")), "{url}: {error}");
        assert!(!error.contains("sec") && !error.contains("ret"), "{url}: {error}");
    }
    // Otherwise only the part before the '@' can be a password.
    for (url, shown) in [
        ("redis://me:secret@h:7/3", "redis://…@h:7/3"),
        ("REDIS://h?password=secret&db=3", "redis://…@h/3"),
        ("unix:///run/a@b?db=3&pass=secret", "unix://…@/run/a@b?db=3"),
        ("h:7", "h:7"),
    ] {
        assert_eq!(redacted(url), shown, "{url}");
    }
}

#[test]
fn two_databases_of_a_server_are_the_same_server() {
    let at = |url| Endpoint::parse(url, &Login::default()).unwrap();
    assert!(at("redis://a/1").is_same_server(&at("a:6379")));
    assert!(!at("redis://a").is_same_server(&at("redis://b")));
    for (other, is_same) in [
        ("LOCALHOST:7000", true),
        ("127.0.0.1:7000", true),
        ("redis://[::1]:7000", true),
        ("localhost:7001", false),
        ("127.0.0.2:7000", false),
    ] {
        assert_eq!(at("localhost:7000").is_same_server(&at(other)), is_same, "{other}");
        assert_eq!(at(other).is_same_server(&at("localhost:7000")), is_same, "{other}");
    }
    assert!(
        !at("127.0.0.1:7000").is_same_server(&at("redis://[::1]:7000")),
        "two may listen there"
    );
}

#[test]
#[cfg(feature = "tls")]
fn rediss_asks_for_tls_and_means_the_same_server() {
    let at = |url| Endpoint::parse(url, &Login::default()).unwrap();
    for (url, shown, is_encrypted) in [
        ("rediss://cache-1", "cache-1:6379", true),
        ("rediss://user:secret@[::1]:7000/2", "[::1]:7000/2", true),
        ("valkeys://cache-1:7000", "cache-1:7000", true),
        ("redis://cache-1", "cache-1:6379", false),
    ] {
        assert_eq!(
            (at(url).to_string().as_str(), at(url).is_encrypted()),
            (shown, is_encrypted),
            "{url}"
        );
    }
    assert!(at("rediss://a").is_same_server(&at("redis://a")));
    assert!(
        at("rediss://a").channel().is_err(),
        "nothing may go out in clear because an option was forgotten"
    );
}

#[test]
#[cfg(not(feature = "tls"))]
fn tls_that_is_not_built_in_is_refused() {
    for url in ["rediss://:secret@cache-1", "valkeys://cache-1"] {
        let error = Endpoint::parse(url, &Login::default()).unwrap_err().to_string();
        assert!(error.contains("without TLS") && !error.contains("secret"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_show_a_password(before in ".{0,9}", after in ".{0,9}") {
        let url = format!("redis://{}:hunter2@{after}", before.replace('@', ""));
        match Endpoint::parse(&url, &Login::default()) {
            Ok(endpoint) => {
                let shown = format!("{endpoint} {endpoint:?}");
                prop_assert!(!shown.contains("hunter2"));
            }
            Err(error) => prop_assert!(!error.to_string().contains("hunter2")),
        }
    }
}
