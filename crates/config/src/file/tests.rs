use proptest::prelude::*;

use super::*;

fn read(format: Format, bytes: &[u8]) -> Result<Vec<(String, String, u32)>, SyntaxError> {
    let file = ConfigFile { name: "f".into(), format, bytes: bytes.to_vec() };
    let settings = file.settings()?;
    Ok(settings.into_iter().map(|s| (s.key, s.value, s.line.unwrap_or(0))).collect())
}

fn check(format: Format, text: &str, expected: &[(&str, &str, u32)]) {
    let expected: Vec<_> = expected.iter().map(|(k, v, l)| ((*k).to_owned(), (*v).to_owned(), *l)).collect();
    assert_eq!(read(format, text.as_bytes()).unwrap(), expected, "{text:?}");
}

#[test]
fn properties_are_read_as_java_does() {
    let properties = |text, expected: &[_]| check(Format::Properties, text, expected);
    properties("", &[]);
    properties("\n  \t\n# c\n! c\n   # c\n", &[]);
    properties("a=1\nb:2\nc 3\nd\t=\t4  \n", &[("a", "1", 1), ("b", "2", 2), ("c", "3", 3), ("d", "4  ", 4)]);
    properties("a=1\r\nb=2\rc=3", &[("a", "1", 1), ("b", "2", 2), ("c", "3", 3)]);
    properties("a", &[("a", "", 1)]);
    properties("=x", &[("", "x", 1)]);
    properties("a = b = c", &[("a", "b = c", 1)]);
    properties("a=b#c", &[("a", "b#c", 1)]);
    properties("a=1,\\\n   2,\\\n\t3\nb=4", &[("a", "1,2,3", 1), ("b", "4", 4)]);
    properties("# ends in a backslash \\\na=1", &[("a", "1", 2)]);
    properties("# C:\\users \\u\na=1", &[("a", "1", 2)]);
    properties("a=1\\\\\nb=2", &[("a", "1\\", 1), ("b", "2", 2)]);
    properties("a=last\\", &[("a", "last", 1)]);
    properties("a\\=b\\ c=d", &[("a=b c", "d", 1)]);
    properties("a=\\u0041\\u00e9\\ud83d\\ude00\\t\\q", &[("a", "A\u{e9}\u{1f600}\tq", 1)]);
    properties("a=ü", &[("a", "ü", 1)]);
    properties("a=1\na=2", &[("a", "1", 1), ("a", "2", 2)]);
}

#[test]
fn bytes_that_are_not_utf8_are_latin1() {
    assert_eq!(read(Format::Properties, b"a=\xfc").unwrap(), [("a".to_owned(), "ü".to_owned(), 1)]);
    let error = read(Format::Toml, b"a='\xfc'").unwrap_err();
    assert_eq!(error.reason, SyntaxReason::NotUtf8);
}

#[test]
fn a_bad_escape_names_its_line() {
    for text in
        ["a=1\nb=\\u12", "a=1\nb=\\uzzzz", "a=1\nb=\\ud83d", "a=1\n\\ude00=1", "a=1\nb=\\u+123", "a=1\nb=\\u12ü4"]
    {
        let error = read(Format::Properties, text.as_bytes()).unwrap_err();
        assert_eq!(error, SyntaxError { line: Some(2), reason: SyntaxReason::Escape }, "{text:?}");
    }
}

#[test]
fn toml_names_are_flattened() {
    let toml = |text, expected: &[_]| check(Format::Toml, text, expected);
    toml("", &[]);
    toml("num.partitions = 3", &[("num.partitions", "3", 1)]);
    toml("\"num.partitions\" = '3'", &[("num.partitions", "3", 1)]);
    toml("[log]\nretention.ms = 1\n[log.roll]\nms = 0x10", &[("log.retention.ms", "1", 2), ("log.roll.ms", "16", 4)]);
    toml("a = ['x', 2, true]\nb = 0.5\nc = []", &[("a", "x,2,true", 1), ("b", "0.5", 2), ("c", "", 3)]);
    toml("a = 99999999999999999999", &[("a", "99999999999999999999", 1)]);
}

#[test]
fn what_is_not_toml_or_not_a_setting_names_its_line() {
    for text in ["a=1\nb=", "a=1\na=2", "x=1\nb=[[1]]", "x=1\nb=1979-05-27", "x=1\nb=[{c=1}]"] {
        assert_eq!(read(Format::Toml, text.as_bytes()).unwrap_err().line, Some(2), "{text:?}");
    }
}

#[test]
fn hostile_files_are_answered() {
    let deep = "[".repeat(100_000);
    assert!(read(Format::Toml, format!("a={deep}").as_bytes()).is_err());
    assert!(read(Format::Toml, format!("{}=1", ["a"; 100_000].join(".")).as_bytes()).is_err());
    let long = "x".repeat(FILE_BYTES_MAX - 2);
    assert_eq!(read(Format::Properties, format!("a={long}").as_bytes()).unwrap()[0].1.len(), long.len());
    let error = read(Format::Properties, &vec![b'\n'; FILE_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error.reason, SyntaxReason::TooLarge);
    assert!(read(Format::Properties, "\\\n".repeat(200_000).as_bytes()).unwrap().is_empty());
    assert!(read(Format::Properties, &[0, 159, 146, 150, 255, b'\\']).is_ok());
}

#[test]
fn the_name_tells_the_format() {
    for (name, format) in
        [("a/ottla.TOML", Format::Toml), ("server.properties", Format::Properties), ("toml", Format::Properties)]
    {
        assert_eq!(Format::of(name), format, "{name}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(Format::Properties, &bytes);
        let _ = read(Format::Toml, &bytes);
    }

    #[test]
    fn no_text_panics(text in "([a-c.= :#!\\\\u0-9\\[\\]{}'\"\r\n\t]|\\PC){0,80}") {
        let _ = read(Format::Properties, text.as_bytes());
        let _ = read(Format::Toml, text.as_bytes());
    }

    #[test]
    fn what_java_would_write_is_read_back(key in "[a-z][a-z. =:]{0,20}", value in "[!-~][ -~]{0,20}") {
        let escape = |text: &str| text.chars().fold(String::new(), |mut out, c| {
            if "=: \\#!".contains(c) { out.push('\\'); }
            out.push(c);
            out
        });
        let text = format!("{}={}", escape(&key), escape(&value));
        prop_assert_eq!(read(Format::Properties, text.as_bytes()).unwrap(), [(key, value, 1)]);
    }
}
