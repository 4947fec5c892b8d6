//! What fits, what is refused and why, as RE2J has it; and that no text breaks the reader.

use proptest::prelude::*;

use super::{InvalidPattern as Invalid, *};

/// Each line: a pattern, names that fit it, names that do not.
fn check(pattern: &str, fits: &[&str], others: &[&str]) {
    let compiled = Pattern::compile(pattern).unwrap_or_else(|error| panic!("{pattern:.40}: {error}"));
    for name in fits {
        assert!(compiled.matches(name), "{pattern:.40} does not fit {name}");
    }
    for name in others {
        assert!(!compiled.matches(name), "{pattern:.40} fits {name}");
    }
}

#[test]
fn the_whole_name_must_fit() {
    check("foo", &["foo"], &["foobar", "afoo", ""]);
    check("foo.*", &["foo", "foo-1", "foo.bar"], &["a-foo"]);
    check("a|b", &["a", "b"], &["ab", "a1", "1b"]);
    check("^foo$", &["foo"], &["foo1"]);
    check("(?m)^foo$", &["foo"], &["foo\nbar"]);
    check("", &[""], &["a"]);
    check("a|", &["a", ""], &["b"]);
    check(r"\Afoo\z", &["foo"], &["foo1"]);
}

#[test]
fn characters_stand_for_themselves() {
    check(r"a\.b\_c\-d", &["a.b_c-d"], &["axb_c-d"]);
    check(r"\Qa.b*\E+", &["a.b*", "a.b**"], &["axb*", "a.b"]);
    check(r"x\Q.", &["x."], &["xy"]);
    check(r"a\Q\E*", &["", "aa"], &["b"]);
    check(r"\x41\x{42}\103\60", &["ABC0"], &["ABC"]);
    check("a{,2}", &["a{,2}"], &["aa"]);
    check("a{01}", &["a{01}"], &["a"]);
    check("a{x}{", &["a{x}{"], &["a"]);
    check("a#b c", &["a#b c"], &["a"]);
    check("a&&b~~c--d", &["a&&b~~c--d"], &["a"]);
}

#[test]
fn repetitions() {
    check("a{2}", &["aa"], &["a", "aaa"]);
    check("a{2,}", &["aa", "aaaa"], &["a"]);
    check("a{1,2}?b??", &["a", "aa", "aab"], &["", "aaa"]);
    check("(?:ab)+", &["ab", "abab"], &["aba"]);
    check("(a*)*", &["", "aaa"], &["b"]);
    check("(?U)a+", &["aaa"], &["b"]);
}

#[test]
fn classes() {
    check("[a-c.-]+", &["a.b-c"], &["d"]);
    check("[^a-c]", &["d", "."], &["a"]);
    check("[]a]+", &["]a"], &["b"]);
    check("[^]a]", &["b"], &["]", "a"]);
    check("[a-]", &["a", "-"], &["b"]);
    check("[[a&&b~~c]+", &["[a&b~c"], &["d"]);
    check("[[:alpha:][:digit:]_]+", &["aB3_"], &["a-"]);
    check("[[:^alpha:]]", &["1"], &["a"]);
    check("[[:alpha]+", &["al:p[ha"], &["1"]);
    check(r"[\d\-x]+", &["1-x"], &["a"]);
    check(r"[^\D]+", &["12"], &["a"]);
    check(r"\w+\W\d\D\S\s", &["aB_9.1a. "], &["a"]);
    check(r"\pL\p{Lu}\p{^Lu}\PN[\p{Nd}\P{L}]", &["aBcd1", "aBcd."], &["abcd1", "aBcda"]);
    check(r"\p{Latin}\P{Greek}\p{Any}\P{Cs}", &["abcd"], &["1bcd"]);
    check(r"a?\p{Cs}*\P{Any}*", &["a", ""], &["b"]);
    check("(?i)[^a]", &["b"], &["a", "A"]);
    check(".", &["a", "ä"], &["\n", "ab"]);
    check("(?s).", &["\n"], &[]);
    check("[^a]", &["\n"], &[]);
}

#[test]
fn groups_and_flags() {
    check("(?P<first>a)(?<second>b)", &["ab"], &["a"]);
    check("(?i)Foo", &["foo", "FOO"], &["fo"]);
    check("a(?i:b)c", &["abc", "aBc"], &["Abc", "abC"]);
    check("(a(?i)b)c", &["abc", "aBc"], &["abC"]);
    check("(?i)a(?-i)b", &["Ab", "ab"], &["aB"]);
    check("(?i-i)a", &["a"], &["A"]);
    check("(?:(?i)a)(?s:b)", &["Ab"], &["aB"]);
    check("(?i)a(?s)?b", &["ab", "B"], &["a"]);
    check("(a(?i))b(?i)|c", &["ab", "C"], &["aB"]);
    check(r"a(?i)\Q\Eb", &["aB"], &["AB"]);
    check("(?)a(?:)b(?ii)c", &["abc", "abC"], &["aBc"]);
    check(r"a\b\Bc|\bd\b", &["d"], &["ac"]);
}

#[test]
fn what_re2j_refuses_is_refused_in_its_words() {
    for (pattern, error) in [
        ("a**", Invalid::NestedRepetition),
        ("a*+", Invalid::NestedRepetition),
        ("a++", Invalid::NestedRepetition),
        ("a?+", Invalid::NestedRepetition),
        ("a{2}{3}", Invalid::NestedRepetition),
        ("a{2}+", Invalid::NestedRepetition),
        ("{+", Invalid::NestedRepetition),
        ("a*(?i)*", Invalid::Unsupported),
        (r"a*\Q\E?", Invalid::Unsupported),
        ("*a", Invalid::MissingRepeatArgument),
        ("(+)", Invalid::MissingRepeatArgument),
        ("a|*", Invalid::MissingRepeatArgument),
        ("(?i)*", Invalid::MissingRepeatArgument),
        (r"\Q\E*", Invalid::MissingRepeatArgument),
        ("{1}", Invalid::MissingRepeatArgument),
        ("a{1001}", Invalid::RepeatCount),
        ("a{2,1}", Invalid::RepeatCount),
        ("a{99999999999999999999}", Invalid::RepeatCount),
        ("(a", Invalid::MissingParenthesis),
        ("(?:a", Invalid::MissingParenthesis),
        ("a)", Invalid::UnopenedParenthesis),
        ("a)|(b", Invalid::UnopenedParenthesis),
        ("[a", Invalid::MissingBracket),
        ("[", Invalid::MissingBracket),
        ("[]", Invalid::MissingBracket),
        ("[a-", Invalid::MissingBracket),
        ("[b-a]", Invalid::CharacterRange),
        ("[[:alpah:]]", Invalid::CharacterRange),
        ("[[:]", Invalid::CharacterRange),
        (r"\p", Invalid::CharacterRange),
        (r"\p{Lu", Invalid::CharacterRange),
        (r"\p{lu}", Invalid::CharacterRange),
        (r"\p{Grek}", Invalid::CharacterRange),
        (r"\p{Letter=L}", Invalid::CharacterRange),
        (r"\pX", Invalid::CharacterRange),
        (r"[a-\d]", Invalid::Escape),
        (r"\C", Invalid::Escape),
        (r"\Z", Invalid::Escape),
        (r"\G", Invalid::Escape),
        (r"\E", Invalid::Escape),
        (r"\h", Invalid::Escape),
        (r"\u0041", Invalid::Escape),
        (r"[\b]", Invalid::Escape),
        (r"(a)\1", Invalid::Escape),
        (r"\8", Invalid::Escape),
        (r"\x4", Invalid::Escape),
        (r"\x{}", Invalid::Escape),
        (r"\x{110000}", Invalid::Escape),
        (r"\xä", Invalid::Escape),
        (r"a\", Invalid::TrailingBackslash),
        ("(?=a)", Invalid::PerlSyntax),
        ("(?!a)", Invalid::PerlSyntax),
        ("(?>a)", Invalid::PerlSyntax),
        ("(?x)a", Invalid::PerlSyntax),
        ("(?i-)a", Invalid::PerlSyntax),
        ("(?i--s)a", Invalid::PerlSyntax),
        ("(?i", Invalid::PerlSyntax),
        ("(?P=a)", Invalid::PerlSyntax),
        ("(?<=a)", Invalid::NamedCapture),
        ("(?P<>a)", Invalid::NamedCapture),
        ("(?P<a", Invalid::NamedCapture),
        ("(?P<a-b>a)", Invalid::NamedCapture),
        ("(?P<a>a)(?<a>b)", Invalid::DuplicateNamedCapture),
    ] {
        assert_eq!(Pattern::compile(pattern).err(), Some(error), "{pattern}");
    }
}

#[test]
fn all_names_of_classes_are_known() {
    let named = names::NAMED_CLASSES.iter().map(|name| format!("[[:{name}:][:^{name}:]]"));
    let unicode = names::CATEGORIES.iter().chain(&names::SCRIPTS).chain(&["Any", "Cs", "Unknown"]);
    let unicode = unicode.map(|name| format!(r"\p{{{name}}}|\P{{^{name}}}|[\P{{{name}}}]|[^\p{{{name}}}]"));
    for pattern in named.chain(unicode) {
        check(&pattern, &["a", "A", "1", "."], &["aa"]);
    }
}

#[test]
fn bombs_are_refused() {
    for bomb in ["((a{1000}){1000}){1000}", r"(\pL{1000}){1000}", &"x".repeat(PATTERN_BYTES_MAX + 1)] {
        assert_eq!(Pattern::compile(bomb).err(), Some(Invalid::TooLarge));
    }
    assert_eq!(Pattern::compile(&"(".repeat(2_000)).err(), Some(Invalid::MissingParenthesis));
    assert!(Pattern::compile(&format!("{}a{}", "(".repeat(2_000), ")".repeat(2_000))).is_err());
    // Long, but what somebody may want.
    let topics: Vec<_> = (0..200).map(|number| format!("{number}.service.some-events.v{number}")).collect();
    check(&topics.join("|"), &["17.service.some-events.v17"], &["17.service.some-events.v18"]);
    check(r"[^.]{1,249}\.?(?i)[a-z.]{0,249}", &["abc", "abc.De"], &["..1"]);
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(pattern in r"[\\()\[\]{}?*+|^$.:<>PpQEabidLu0-9,-]{0,24}") {
        let _ = Pattern::compile(&pattern);
    }

    #[test]
    fn no_unicode_breaks_the_reader(pattern in any::<String>()) {
        let _ = Pattern::compile(&pattern);
    }

    /// What RE2J takes the crate takes, but for what is too large or too deep.
    #[test]
    fn what_is_translated_compiles(pattern in r"[()\[\]*+|^$.ab:-]{0,12}") {
        prop_assert_ne!(Pattern::compile(&pattern).err(), Some(Invalid::Unsupported));
    }

    #[test]
    fn a_quoted_text_fits_itself(name in "[a-zA-Z0-9._-]{0,40}") {
        prop_assert!(Pattern::compile(&[r"\Q", &name, r"\E"].concat()).unwrap().matches(&name));
    }
}
