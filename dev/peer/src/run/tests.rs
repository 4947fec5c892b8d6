use super::*;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn input_goes_in_and_output_comes_out() {
    let input = vec![b'x'; 1 << 20];
    let output = run_with_input(&mut Command::new("cat"), &input, LONG).unwrap();
    assert_eq!(output.stdout, input);
}

#[test]
fn a_failure_shows_the_command_and_its_words() {
    let error = run(Command::new("sh").args(["-c", "echo because >&2; exit 3"]), LONG).unwrap().success().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("because") && text.contains("sh -c") && text.contains('3'), "{text}");
}

#[test]
fn a_program_past_its_deadline_is_killed() {
    let error = run(Command::new("sleep").arg("1000"), Duration::from_millis(20)).unwrap_err();
    assert!(error.to_string().contains("did not end within"), "{error}");
}

#[test]
fn the_tail_is_cut_at_a_character() {
    assert_eq!(tail("aéb", 2), "b");
    assert_eq!(tail("ab", 9), "ab");
}
