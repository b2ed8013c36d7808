//! Parquet, row by row.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Number, Value};

use super::Records;
use crate::read::file::{format_error, io_error, open};
use crate::read::record::{Record, missing};
use crate::{Error, Result};

pub(super) fn records(path: &Path, wanted: &[&str]) -> Result<Records> {
    let path: Arc<Path> = path.into();
    let file = open(&path)?;
    let size = file.metadata().map_err(io_error(&path))?.len();
    let reader = guarded(&path, || SerializedFileReader::new(file))?;
    check_places(&path, reader.metadata(), size)?;
    let schema = reader.metadata().file_metadata().schema();
    let names: Vec<&str> = schema.get_fields().iter().map(|column| column.name()).collect();
    for name in wanted {
        if !names.contains(name) {
            return Err(Error::Field {
                path: path.to_path_buf(),
                line: 1,
                field: (*name).to_owned(),
                what: missing(names.into_iter()),
            });
        }
    }
    let mut rows = RowIter::from_file_into(Box::new(reader)).enumerate();
    let mut sound = true;
    Ok(Box::new(std::iter::from_fn(move || {
        // What a reader would do after it failed, nobody knows.
        if !sound {
            return None;
        }
        let next = || rows.next().map(|(at, row)| Ok((at, row?))).transpose();
        let next = guarded(&path, next).transpose()?;
        sound = next.is_ok();
        Some(next.map(|(at, row)| Record::new(&path, at + 1, object(row))))
    })))
}

/// Runs a call of the library, which panics on some files that are damaged.
fn guarded<T>(
    path: &Path,
    call: impl FnOnce() -> std::result::Result<T, ParquetError>,
) -> Result<T> {
    // Nothing that the call leaves half done is used again: whoever gets an error, stops.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| {
            format_error(path, format!("not sound Parquet: {error}; fetch or write it anew"))
        }),
        Err(_) => Err(format_error(path, "not sound Parquet; fetch or write it anew")),
    }
}

/// That the columns lie in the file, so that none is read, or made room for, that is not there.
fn check_places(path: &Path, metadata: &ParquetMetaData, size: u64) -> Result<()> {
    for (at, group) in metadata.row_groups().iter().enumerate() {
        for column in group.columns() {
            if group.num_rows() < 0 || !lies_within(column, size) {
                let name = column.column_path().string();
                let what = format!("column `{name}` of row group {at} is not inside of the file");
                return Err(format_error(path, format!("not sound Parquet: {what}")));
            }
        }
    }
    Ok(())
}

fn lies_within(column: &ColumnChunkMetaData, size: u64) -> bool {
    let begin = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let end = begin.checked_add(column.compressed_size());
    let within = |place: i64| u64::try_from(place).is_ok_and(|place| place <= size);
    within(begin)
        && within(column.data_page_offset())
        && column.compressed_size() >= 0
        && end.is_some_and(within)
        && column.num_values() >= 0
        && column.uncompressed_size() >= 0
}

fn object(row: Row) -> Map<String, Value> {
    row.into_columns().into_iter().map(|(name, field)| (name, value(field))).collect()
}

/// A field as the other formats would have it. What they have no word for becomes an object that
/// names it: a schema that wants a text there then says so, and one that does not, does not care.
fn value(field: Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(flag) => Value::Bool(flag),
        Field::Byte(number) => number.into(),
        Field::Short(number) => number.into(),
        Field::Int(number) => number.into(),
        Field::Long(number) => number.into(),
        Field::UByte(number) => number.into(),
        Field::UShort(number) => number.into(),
        Field::UInt(number) => number.into(),
        Field::ULong(number) => number.into(),
        Field::Float(number) => Number::from_f64(number.into()).map_or(Value::Null, Value::Number),
        Field::Double(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        Field::Str(text) => Value::String(text),
        // Old writers do not mark text as text.
        Field::Bytes(ref bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Value::String(text.to_owned()),
            Err(_) => named(&field),
        },
        Field::Group(row) => Value::Object(object(row)),
        Field::ListInternal(list) => list.elements().iter().cloned().map(value).collect(),
        other => named(&other),
    }
}

fn named(field: &Field) -> Value {
    let kind = match field {
        Field::MapInternal(_) => "map",
        Field::Bytes(_) => "bytes",
        Field::Decimal(_) => "decimal",
        _ => "time",
    };
    Value::Object(Map::from_iter([(kind.to_owned(), Value::Null)]))
}
