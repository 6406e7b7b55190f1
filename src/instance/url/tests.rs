//! The meaning of valid URLs, and the errors of invalid ones.

use super::*;
use proptest::prelude::*;

#[test]
fn parameters_of_a_url_have_the_meaning_of_redis_py() {
    for (url, user, password, db, protocol) in [
        ("redis://h?db=2", None, None, 2, Protocol::Newest),
        ("redis://h/2?db=2", None, None, 2, Protocol::Newest),
        ("redis://h/?password=p%40+ss", None, Some("p@ ss"), 0, Protocol::Newest),
        (
            "rediss://h?username=me&password=pw&protocol=3",
            Some("me"),
            Some("pw"),
            0,
            Protocol::Newest,
        ),
        ("redis://me:pw@h?protocol=2&db=15", Some("me"), Some("pw"), 15, Protocol::Resp2),
        ("redis://:a:b@h", None, Some("a:b"), 0, Protocol::Newest),
        ("unix:///run/s?db=2&password=pw", None, Some("pw"), 2, Protocol::Newest),
        ("unix:///run/s?user=me&pass=p@w", Some("me"), Some("p@w"), 0, Protocol::Newest),
        ("unix://me:pw@/run/s?db=1", Some("me"), Some("pw"), 1, Protocol::Newest),
    ] {
        let parsed = Url::parse(url).unwrap();
        assert_eq!((parsed.user.as_deref(), parsed.password.as_deref()), (user, password), "{url}");
        assert_eq!((parsed.db, parsed.protocol), (db, protocol), "{url}");
    }
}

#[test]
fn an_invalid_part_is_refused_and_named() {
    for (url, words) in [
        ("redis://h?timeout=3", "its parameter 'timeout' is not known"),
        ("redis://h?ssl_cert_reqs=none&db=1", "its parameter 'ssl_cert_reqs' is not known"),
        ("redis://h?DB=3", "expected db, username, password or protocol"),
        ("redis://h?user=me", "its parameter 'user' is not known"),
        ("redis://h?db", "NAME=VALUE"),
        ("redis://h?db=", "number of a database"),
        ("redis://h?db=-1", "number of a database"),
        ("redis://h?db=+1", "number of a database"),
        ("redis://h?db=1&db=2", "one of its two databases"),
        ("redis://h/1?db=2", "one of its two databases"),
        ("redis://:a@h?password=b", "one of its two passwords"),
        ("redis://a:pw@h?username=b", "one of its two users"),
        ("redis://h?password=", "a value behind password="),
        ("redis://h?protocol=4", "protocol=2 or protocol=3"),
        ("redis://h/one", "number of a database"),
        ("redis://h/1/2", "number of a database"),
        ("redis://h#insecure", "no '#'"),
        ("redis://h?db=1#", "no '#'"),
        ("redis://a,redis://b", "a host"),
        ("redis://a,b", "a host"),
        ("redis://h:", "a port"),
        ("redis://h:+1", "a port"),
        ("redis://h:0", "a port"),
        ("redis://h:65536", "a port"),
        ("redis://h:1:2", "a port"),
        ("redis://[::1", "']'"),
        ("redis://[::1]x", "HOST[:PORT]"),
        ("redis://[h]", "an IPv6 address"),
        ("redis://0.0.0.0", "one server"),
        ("redis://h\u{fc}", "a host"),
        ("redis://h t", "a host"),
        ("redis://h\t", "control characters"),
        ("redis://:%FF@h", "UTF-8"),
        ("h/2", "HOST[:PORT]"),
        ("ss@h", "%2C"),
        ("unix://run/s", "unix:///PATH"),
        ("unix:///", "unix:///PATH"),
        ("unix:///run/a%00b", "NUL"),
        ("unix:///run/a%1b[2Jb", "control characters"),
        ("unix:///run/a%e2%80%aeb", "control characters"),
        ("ftp://h", "redis[s]://"),
    ] {
        let problem = Url::parse(url).err().unwrap_or_else(|| panic!("{url} is understood"));
        assert!(problem.contains(words), "{url}: {problem}");
    }
}

#[test]
fn a_password_with_a_raw_separator_is_refused_with_the_way_to_write_it() {
    for url in [
        "redis://:a/b@h",
        "redis://u:1/b@h",
        "redis://u:1?b@h",
        "redis://u:x@a/b@h",
        "redis://:a#b@h",
    ] {
        let problem = Url::parse(url).err().unwrap_or_else(|| panic!("{url} is understood"));
        assert!(problem.contains("%2F") || problem.contains("a port"), "{url}: {problem}");
    }
    assert_eq!(
        Url::parse("redis://:a%2Fb%3F%23%40@h").unwrap().password.as_deref(),
        Some("a/b?#@")
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,30}", url in "(redis|unix)://[a-z:@/?#=&%,0-9\\[\\]]{0,30}") {
        let _ = (Url::parse(&text), Url::parse(&url));
    }

    #[test]
    fn an_unencoded_password_is_never_shown(password in "[a-z@/?#,:=&%]{1,12}", prefix in "(redis|rediss|unix)://(me)?:") {
        let place = if prefix.starts_with("unix") { "/S" } else { "H" };
        let shown = super::super::redacted(&format!("{prefix}{password}@{place}"));
        let scheme = prefix.split("://").next().unwrap();
        prop_assert!(shown == format!("{scheme}://…@{place}") || shown == format!("{scheme}://…"), "{shown}");
    }
}
