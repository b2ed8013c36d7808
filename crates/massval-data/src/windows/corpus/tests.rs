//! Documents from files of each kind.

use super::*;

fn write(name: &str, text: impl AsRef<[u8]>) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn open(name: &str, text: &str, documents: Pick, options: &TextOptions) -> Result<Corpus> {
    let (_folder, path) = write(name, text);
    let mut rule = Windows::new(8);
    rule.documents = documents;
    rule.join = "|".to_owned();
    Corpus::open(&path, &rule, options)
}

fn lines() -> TextOptions {
    TextOptions { split: Some(Split::Lines), ..TextOptions::default() }
}

const RECORDS: &str = "{\"text\":\"a\"}\n\n{\"text\":\"\"}\n{\"text\":\"c\",\"url\":7}\n";

#[test]
fn plain_text_is_one_document_or_its_lines() {
    let text = " = A = \n \nb\n";
    let corpus = open("a.txt", text, Pick::All, &TextOptions::default()).unwrap();
    assert_eq!((corpus.text.as_str(), corpus.documents), (text, 1));
    let corpus = open("a.raw", text, Pick::All, &lines()).unwrap();
    assert_eq!((corpus.text.as_str(), corpus.documents), (" = A = \n||b\n", 3));
    // What looks like JSON is still text where the name does not say otherwise.
    let corpus = open("a.md", "[1] b", Pick::All, &TextOptions::default()).unwrap();
    assert_eq!(corpus.text, "[1] b");
}

#[test]
fn records_are_documents_empty_ones_too() {
    let corpus = open("a.jsonl", RECORDS, Pick::All, &TextOptions::default()).unwrap();
    assert_eq!((corpus.text.as_str(), corpus.documents), ("a||c", 3));
    let corpus = open("a.jsonl", RECORDS, Pick::First(2), &TextOptions::default()).unwrap();
    assert_eq!((corpus.text.as_str(), corpus.documents), ("a|", 2));
    let corpus = open("a.csv", "text,n\n\"x, y\",1\n", Pick::All, &TextOptions::default()).unwrap();
    assert_eq!(corpus.text, "x, y");
    let corpus = open("a.json", "[{\"text\":\"x\"}]", Pick::All, &TextOptions::default()).unwrap();
    assert_eq!(corpus.text, "x");
}

#[test]
fn the_first_documents_are_read_no_further() {
    let broken = format!("{RECORDS}{{");
    assert!(open("a.jsonl", &broken, Pick::First(3), &TextOptions::default()).is_ok());
    let error = open("a.jsonl", &broken, Pick::All, &TextOptions::default()).unwrap_err();
    assert!(error.to_string().contains("line 5, column 1"), "{error}");
}

#[test]
fn random_documents_depend_on_the_seed_alone() {
    let text: String = (0..50).map(|number| format!("{{\"text\":\"{number}\"}}\n")).collect();
    let draw = |count, seed| {
        let documents = Pick::Random { count, seed };
        open("a.jsonl", &text, documents, &TextOptions::default()).unwrap().text
    };
    assert_eq!(draw(5, 1), draw(5, 1));
    assert_ne!(draw(5, 1), draw(5, 2));
    let numbers: Vec<u32> = draw(20, 3).split('|').map(|text| text.parse().unwrap()).collect();
    assert_eq!(numbers.len(), 20);
    assert!(numbers.is_sorted_by(|a, b| a < b));
    assert_eq!(draw(99, 4).split('|').count(), 50);
}

#[test]
fn every_document_is_as_likely_as_another() {
    let mut drawn = [0u32; 8];
    for seed in 0..2000 {
        let documents = (0..8).map(|number| Ok(number.to_string()));
        let rule = Pick::Random { count: 2, seed };
        for text in pick(Box::new(documents), rule, 100, Path::new("a")).unwrap() {
            drawn[text.parse::<usize>().unwrap()] += 1;
        }
    }
    // 500 wanted of each; four standard deviations are 77.
    assert!(drawn.iter().all(|count| (420..580).contains(count)), "{drawn:?}");
}

#[test]
fn the_identity_tells_texts_apart() {
    let options = TextOptions::default();
    let one = open("a.jsonl", RECORDS, Pick::All, &options).unwrap().identity();
    assert_eq!(one, open("b.jsonl", RECORDS, Pick::All, &options).unwrap().identity());
    assert_ne!(one, open("a.jsonl", RECORDS, Pick::First(1), &options).unwrap().identity());
    assert_ne!(one, open("a.txt", "a", Pick::All, &options).unwrap().identity());
}

#[test]
fn what_is_no_text_is_refused() {
    let none = TextOptions::default();
    let field = TextOptions { field: Some("body".to_owned()), ..TextOptions::default() };
    let cases = [
        ("a.txt", "", &none, "no items"),
        ("a.txt", " \n ", &none, "no items"),
        ("a.jsonl", "", &none, "no items"),
        ("a.jsonl", "{\"text\":\"\"}\n", &none, "no items"),
        (
            "a.jsonl",
            "{\"body\":\"x\"}\n",
            &none,
            "line 1, field `text`: missing; the fields are `body`",
        ),
        ("a.jsonl", "{\"text\":\"a\"}\n{\"text\":7}\n", &none, "line 2, field `text`: a number"),
        ("a.csv", "text\nx\n", &field, "line 1, field `body`: missing"),
        ("a.txt", "x", &field, "`field` is for files of records"),
        ("a.jsonl", RECORDS, &lines(), "`split` is for plain text"),
        ("a.parquet", "x", &none, "does not begin with PAR1"),
    ];
    for (name, text, options, part) in cases {
        let message = open(name, text, Pick::All, options).unwrap_err().to_string();
        assert!(message.contains(part), "{name} {text}: {message}");
    }
    let (folder, path) = write("a.txt", b"\xff");
    for path in [folder.path(), &path, &folder.path().join("none.txt")] {
        assert!(Corpus::open(path, &Windows::new(8), &none).is_err());
    }
}

#[test]
fn too_much_text_is_refused() {
    let (_folder, path) = write("a.jsonl", "{\"text\":\"abc\"}\n".repeat(4));
    let limits = Limits { whole: 7, ..Limits::default() };
    let open = |documents| {
        let rule = Windows { documents, ..Windows::new(8) };
        Corpus::open_within(&path, &rule, &TextOptions::default(), limits)
    };
    let message = open(Pick::All).unwrap_err().to_string();
    assert!(message.contains("more than 7 bytes of text"), "{message}");
    assert!(open(Pick::First(2)).is_ok());
    // What is drawn and then dropped does not count.
    assert!(open(Pick::Random { count: 2, seed: 0 }).is_ok());
}

#[cfg(feature = "parquet")]
#[test]
fn a_column_of_parquet_is_documents() {
    let (_folder, path) = write("a.bin", crate::read::sample::imdb(&[("x", 0), ("y", 1)]));
    let corpus = Corpus::open(&path, &Windows::new(8), &TextOptions::default()).unwrap();
    assert_eq!((corpus.text.as_str(), corpus.documents), ("x\n\ny", 2));
}
