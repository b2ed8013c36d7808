//! Parquet files for tests, as the hub has them: compressed with snappy, lists in three levels.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// The values of one leaf column, with definition and repetition levels where it has them.
enum Column {
    Text(Vec<String>),
    Texts(Vec<Vec<String>>),
    Int(Vec<i64>),
    Ints(Vec<Vec<i32>>),
    Double(Vec<f64>),
}

/// The values of lists, none of them empty, and their levels.
fn flat<T: Clone>(lists: &[Vec<T>]) -> (Vec<T>, Vec<i16>, Vec<i16>) {
    let values: Vec<T> = lists.concat();
    let first = |list: &Vec<T>| (0..list.len()).map(|at| i16::from(at > 0)).collect::<Vec<_>>();
    let repetition = lists.iter().flat_map(first).collect();
    (values.clone(), vec![1; values.len()], repetition)
}

fn bytes(texts: &[String]) -> Vec<ByteArray> {
    texts.iter().map(|text| ByteArray::from(text.as_str())).collect()
}

fn write(schema: &str, columns: Vec<Column>) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for column in columns {
        let mut leaf = group.next_column().unwrap().unwrap();
        match column {
            Column::Text(texts) => {
                leaf.typed::<ByteArrayType>().write_batch(&bytes(&texts), None, None).unwrap()
            }
            Column::Texts(lists) => {
                let (values, definition, repetition) = flat(&lists);
                let leaf = leaf.typed::<ByteArrayType>();
                leaf.write_batch(&bytes(&values), Some(&definition), Some(&repetition)).unwrap()
            }
            Column::Int(numbers) => {
                leaf.typed::<Int64Type>().write_batch(&numbers, None, None).unwrap()
            }
            Column::Ints(lists) => {
                let (values, definition, repetition) = flat(&lists);
                let leaf = leaf.typed::<Int32Type>();
                leaf.write_batch(&values, Some(&definition), Some(&repetition)).unwrap()
            }
            Column::Double(numbers) => {
                leaf.typed::<DoubleType>().write_batch(&numbers, None, None).unwrap()
            }
        };
        leaf.close().unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Reviews and labels.
pub(crate) fn imdb(rows: &[(&str, i64)]) -> Vec<u8> {
    let schema = "message schema { required binary text (UTF8); required int64 label; }";
    let texts = rows.iter().map(|row| row.0.to_owned()).collect();
    let labels = rows.iter().map(|row| row.1).collect();
    write(schema, vec![Column::Text(texts), Column::Int(labels)])
}

/// Reviews that their writer did not mark as text, and labels that are no whole numbers.
pub(crate) fn odd_imdb(text: &str, label: f64) -> Vec<u8> {
    let schema = "message schema { required binary text; required double label; }";
    write(schema, vec![Column::Text(owned(&[text])), Column::Double(vec![label])])
}

/// A problem with options.
pub(crate) fn aqua(question: &str, options: &[&str], correct: &str) -> Vec<u8> {
    let schema = "message schema {
        required binary question (UTF8);
        required group options (LIST) { repeated group list { required binary element (UTF8); } }
        required binary correct (UTF8);
    }";
    let columns = vec![
        Column::Text(owned(&[question])),
        Column::Texts(vec![owned(options)]),
        Column::Text(owned(&[correct])),
    ];
    write(schema, columns)
}

/// A question with its context and one answer.
pub(crate) fn squad(context: &str, question: &str, answer: &str, start: i32) -> Vec<u8> {
    let schema = "message schema {
        required binary context (UTF8);
        required binary question (UTF8);
        required group answers {
            required group text (LIST) { repeated group list { required binary element (UTF8); } }
            required group answer_start (LIST) { repeated group list { required int32 element; } }
        }
    }";
    let columns = vec![
        Column::Text(owned(&[context])),
        Column::Text(owned(&[question])),
        Column::Texts(vec![owned(&[answer])]),
        Column::Ints(vec![vec![start]]),
    ];
    write(schema, columns)
}
