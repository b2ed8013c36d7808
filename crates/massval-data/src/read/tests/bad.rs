//! What malformed files are refused with.

use proptest::prelude::*;

use super::*;

/// A file that has to be refused with a message that holds a part.
fn refused(cases: &[(Schema, &str, &str, &str)]) {
    for (schema, name, text, part) in cases {
        let message = match plain(name, text, *schema) {
            Ok(set) => panic!("{schema} {text}: {} items", set.items().len()),
            Err(error) => error.to_string(),
        };
        assert!(message.contains(part), "{schema} {text}:\n{message}\nwants\n{part}");
        assert!(message.contains(name), "{message} does not name {name}");
    }
}

#[test]
fn fields_missing_and_of_other_types() {
    use Schema::*;
    refused(&[
        (
            Gsm8k,
            "a.jsonl",
            "\n{\"question\":\"a\",\"anwser\":1}",
            "line 2, field `answer`: missing; the fields are `question`, `anwser`",
        ),
        (Gsm8k, "a.jsonl", "{}", "field `question`: missing; there are no fields"),
        (
            Gsm8k,
            "a.jsonl",
            r#"{"question":["a"],"answer":""}"#,
            "line 1, field `question`: a list where a text",
        ),
        (Gsm8k, "a.jsonl", r#"{"question":" ","answer":""}"#, "field `question`: empty"),
        (Gsm8k, "a.jsonl", r#"{"question":null,"answer":""}"#, "field `question`: null"),
        (Gsm8k, "a.jsonl", r#"{"question":"a","answer":"18"}"#, "field `answer`: has no `#### `"),
        (
            Gsm8k,
            "a.jsonl",
            r#####"{"question":"a","answer":"#### x y"}"#####,
            "`x y` after `####` is not a number",
        ),
        (Imdb, "a.csv", "text,label\na,1\nb,2\n", "line 3, field `label`: 2 is neither 0"),
        (Imdb, "a.csv", "text,label\na,-1\n", "field `label`: -1, as in the unlabelled"),
        (Imdb, "a.csv", "text,label\na,pos\n", "`pos` is not a whole number"),
        (
            Imdb,
            "a.csv",
            "review,label\na,1\n",
            "line 1, field `text`: missing; the fields are `review`, `label`",
        ),
        (Imdb, "a.csv", "text,label,text\na,1,b\n", "line 1, field `text`: two columns"),
        (
            Cities,
            "a.csv",
            "statement,label,city\nParis was.,1,Paris\n",
            "line 2, field `statement`: `Paris was.` has no word `is`",
        ),
        (
            Cities,
            "a.csv",
            "statement,label,city\n\"A\nis b.\",maybe,A\n",
            "line 2, field `label`: `maybe` is neither",
        ),
        (Cities, "a.csv", "statement,label,city\nA is b.,1,\n", "field `city`: empty"),
        (
            CoinFlip,
            "a.json",
            "{\"examples\":[\n{\"question\":\"a\",\"answer\":\"perhaps\"}]}",
            "line 2, field `examples[0].answer`: `perhaps` is neither yes nor no",
        ),
        (
            CoinFlip,
            "a.json",
            "{\"exmples\":[]}",
            "line 1, field `examples`: missing; the fields are `exmples`",
        ),
        (
            Sports,
            "a.json",
            "{\"data\":[\n\n{\"question\":\"a\",\"answer\":2}]}",
            "line 3, field `data[0].answer`: `2` is neither true",
        ),
        (Sports, "a.json", "{\"data\":7}", "field `data`: a number where a list"),
        (Sports, "a.json", "{\"data\":[7]}", "field `data[0]`: a number where an object"),
        (Sports, "a.json", "7", "field `(the whole file)`: a number where an object"),
    ]);
}

#[test]
fn options_of_aqua() {
    let line = |options: &str, correct: &str| {
        format!(r#"{{"question":"q","options":{options},"correct":{correct}}}"#)
    };
    let five = r#"["A)1","B)2","C)3","D)4","E)5"]"#;
    let cases = [
        (line(r#"["A)1"]"#, "\"A\""), "field `options`: 1 options where 5"),
        (
            line(r#"["A)1","B)2","C)3","D 4","E)5"]"#, "\"A\""),
            "field `options[3]`: `D 4` does not begin with `D)`",
        ),
        (
            line(r#"["A)1","B)2",3,"D)4","E)5"]"#, "\"A\""),
            "field `options[2]`: a number where a text",
        ),
        (line("\"A)1\"", "\"A\""), "field `options`: a text where a list of texts"),
        (line(five, "\"F\""), "field `correct`: `F` is not a letter"),
        (line(five, "\"a\""), "`a` is not a letter"),
        (line(five, "1"), "field `correct`: a number where a text"),
    ];
    for (text, part) in &cases {
        refused(&[(Schema::Aqua, "a.jsonl", text, part)]);
    }
}

#[test]
fn answers_of_squad() {
    let line =
        |answers: &str| format!(r#"{{"context":"In Rome.","question":"q","answers":{answers}}}"#);
    let cases = [
        (
            line(r#"[{"text":"Rome","answer_start":2}]"#),
            "field `answers`: the context does not have `Rome` at character 2",
        ),
        (line(r#"[{"text":"Rome","answer_start":99}]"#), "at character 99"),
        (
            line(r#"[{"text":"Rome","answer_start":-1}]"#),
            "field `answers[0].answer_start`: not a count",
        ),
        (line(r#"[{"answer_start":3}]"#), "field `answers[0].text`: not a text"),
        (line("[7]"), "field `answers[0].text`"),
        (
            line(r#"{"text":["Rome"],"answer_start":[3,3]}"#),
            "field `answers.answer_start`: not a list of 1",
        ),
        (line(r#"{"text":["Rome",""]}"#), "field `answers.text[1]`"),
        (line(r#"{"text":"Rome"}"#), "field `answers.text`: not a list"),
        (line("\"Rome\""), "field `answers`: neither a list"),
        (line("[]"), "field `answers`: this question has no answer in the context (1 in the file)"),
        (line(r#"[{"text":"Rome"}],"is_impossible":true"#), "field `is_impossible`: true, but"),
    ];
    for (text, part) in &cases {
        refused(&[(Schema::Squad, "a.jsonl", text, part)]);
    }
    refused(&[
        (
            Schema::Squad,
            "a.json",
            "{\"data\":[{\"paragraphs\":[{\n\"qas\":[]}]}]}",
            "line 1, field `data[0].paragraphs[0].context`: missing",
        ),
        (
            Schema::Squad,
            "a.json",
            "{\"data\":[{\"paragraphs\":[{\"context\":\n5,\"qas\":[]}]}]}",
            "line 2, field `data[0].paragraphs[0].context`: a number where a text",
        ),
        (Schema::Squad, "a.json", "{\"data\":[{\"paragraphs\":[]}]}", "no items"),
        (
            Schema::Squad,
            "a.json",
            "{\"data\":[{\"title\":\"t\"}]}",
            "field `data[0].context`: missing",
        ),
    ]);
}

#[test]
fn unanswerable_questions_may_be_all_there_is() {
    let text = r#"{"context":"c","question":"q","answers":[]}"#;
    let options = Options { unanswerable: Some(Unanswerable::Skip), ..Options::default() };
    let message = read("a.jsonl", text, Schema::Squad, &options).unwrap_err().to_string();
    assert!(message.contains("no items: none of its 1 questions"), "{message}");
}

#[test]
fn files_that_are_not_of_their_format() {
    use Schema::*;
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    let deep = format!("{{\"question\":{open}{close}}}");
    refused(&[
        (Gsm8k, "a.jsonl", "", "no items"),
        (Gsm8k, "a.jsonl", "\n \n", "no items"),
        (Gsm8k, "a.json", " \n", "no items"),
        (Gsm8k, "a.json", "[]", "no items"),
        (CoinFlip, "a.json", "{\"examples\":[]}", "no items"),
        (Imdb, "a.csv", "text,label\n", "no items"),
        (Gsm8k, "a.jsonl", "{}}\n", "line 1, column 3: trailing characters"),
        (Gsm8k, "a.jsonl", "\n[1]\n", "line 2: a list where an object should be"),
        (Gsm8k, "a.json", "[{},\n{]", "line 2, column 2"),
        (Gsm8k, "a.jsonl", &deep, "recursion limit"),
        (Gsm8k, "a.json", &deep, "recursion limit"),
        (Imdb, "a.csv", "text,label\na,1\nb\n", "line 3: 1 fields where the first line names 2"),
        (Imdb, "a.txt", "text,label\na,1\n", "cannot tell the format"),
        (Imdb, "a.parquet", "text", "does not begin with PAR1"),
        (Imdb, "a.jsonl", "\u{1f}", "line 1, column 1"),
    ]);
    let message = plain("a.jsonl", b"\x1f\x8b\x08", Imdb).unwrap_err().to_string();
    assert!(message.contains("compressed with gzip"), "{message}");
    let message = plain("a.csv", b"text,label\n\xff,1\n", Imdb).unwrap_err().to_string();
    assert!(message.contains("line 2: not UTF-8"), "{message}");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_wants_its_feature() {
    refused(&[(Schema::Imdb, "a.bin", "PAR1", "enable the feature `parquet`")]);
}

#[test]
fn paths_that_are_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| match open(path, Schema::Imdb, &Options::default()) {
        Ok(_) => panic!("{} opened", path.display()),
        Err(error) => error.to_string(),
    };
    assert!(message(folder.path()).contains("a folder; name a file in it"));
    let none = message(&folder.path().join("none.jsonl"));
    assert!(none.contains("none.jsonl: No such file"), "{none}");
}

#[test]
fn options_of_other_schemas() {
    let options = Options { unanswerable: Some(Unanswerable::Skip), ..Options::default() };
    let message = read("a.jsonl", "{}", Schema::Aqua, &options).unwrap_err().to_string();
    assert!(message.contains("aqua: the option `unanswerable` belongs to `squad`"), "{message}");
    let options = Options { options_in_prompt: Some(true), ..Options::default() };
    let message = read("a.jsonl", "{}", Schema::Gsm8k, &options).unwrap_err().to_string();
    assert!(message.contains("`options_in_prompt` belongs to `aqua`"), "{message}");
    assert!(serde_json::from_str::<Options>(r#"{"unanswered":"skip"}"#).is_err());
}

#[test]
fn more_than_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, "text,label\na,1\nb,1\nc,1\n").unwrap();
    let open = |limits| FileSet::open_within(&path, Schema::Imdb, &Options::default(), limits);
    let usual = Limits::default();
    assert!(open(Limits { records: 3, ..usual }).is_ok());
    let message = open(Limits { records: 2, ..usual }).unwrap_err().to_string();
    assert!(message.contains("more than 2 records"), "{message}");
    let message = open(Limits { whole: 22, ..usual }).unwrap_err().to_string();
    assert!(message.contains("more than 22 bytes"), "{message}");
    assert!(open(Limits { whole: 23, ..usual }).is_ok());
}

proptest! {
    /// Whatever the bytes, a set or an error.
    #[test]
    fn any_bytes_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        at in 0..Schema::ALL.len(),
        name in prop::sample::select(vec!["a", "a.json", "a.jsonl", "a.csv", "a.parquet"]),
    ) {
        let _ = plain(name, bytes, Schema::ALL[at]);
    }

    /// The same for sound files with a byte changed, or cut short.
    #[test]
    fn damaged_files_are_survived(place in 0usize..400, byte: u8, cut: bool) {
        let whole = r#"{"data":[{"paragraphs":[{"context":"Zoë in Rome.","qas":[{"question":"W?","answers":[{"text":"Rome","answer_start":7}]}]}]}]}"#;
        let mut bytes = whole.as_bytes().to_vec();
        let place = place % bytes.len();
        if cut { bytes.truncate(place) } else { bytes[place] = byte }
        let _ = plain("a.json", bytes, Schema::Squad);
    }
}
