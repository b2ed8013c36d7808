//! Parquet, sound and damaged.

use proptest::prelude::*;

use super::*;
use crate::Gold;

#[test]
fn rows_are_items() {
    let set = plain("a.parquet", sample::imdb(&[("good", 1), ("bad", 0)]), Schema::Imdb).unwrap();
    assert_eq!(set.items().len(), 2);
    assert_eq!(set.item(1).unwrap().prompt, "bad");
    assert_eq!(set.item(0).unwrap().gold, Gold::Sentiment { positive: true });
}

#[test]
fn lists_and_groups_are_read() {
    let options = ["A)1", "B)2", "C)3", "D)4", "E)5"];
    let set = plain("a.parquet", sample::aqua("q", &options, "C"), Schema::Aqua).unwrap();
    assert_eq!(set.item(0).unwrap().gold, Gold::Option { letter: 'C', text: "3".to_owned() });
    let bytes = sample::squad("Zoë in Rome.", "Where?", "Rome", 7);
    let item = plain("a", bytes, Schema::Squad).unwrap().item(0).unwrap();
    assert_eq!(&item.prompt[item.evidence.unwrap()], "Rome");
}

#[test]
fn rows_and_columns_at_fault_are_named() {
    let error = |bytes, schema| plain("a.parquet", bytes, schema).unwrap_err().to_string();
    let message = error(sample::imdb(&[("good", 1), ("bad", 7)]), Schema::Imdb);
    assert!(message.contains("line 2, field `label`: 7 is neither"), "{message}");
    let message = error(sample::imdb(&[("good", 1)]), Schema::Gsm8k);
    assert!(
        message.contains("field `question`: missing; the fields are `text`, `label`"),
        "{message}"
    );
    assert!(error(sample::imdb(&[]), Schema::Imdb).contains("no items"));
    // Text that is not marked as such is text, a label of 1.5 is none.
    let message = error(sample::odd_imdb("good", 1.5), Schema::Imdb);
    assert!(message.contains("field `label`: `1.5` is not a whole number"), "{message}");
    assert!(error(b"PAR1".to_vec(), Schema::Imdb).contains("not sound Parquet"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A damaged file gives a set or an error.
    #[test]
    fn damaged_files_are_survived(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = sample::squad("Zoë in Rome.", "Where?", "Rome", 7);
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = plain("a.parquet", bytes, Schema::Squad);
    }
}
