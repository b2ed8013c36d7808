//! The pickle of one bare tensor, as `torch.save(tensor, path)` writes it.
//!
//! `pytorch-reader` reads dictionaries of tensors only. This reads exactly the other common
//! case: a program of the few opcodes such a pickle consists of, which can name three things
//! and call none. Any other program is `None`, and left to that crate. (Opcodes after Python's
//! `pickletools`; the call is `torch._utils._rebuild_tensor_v2`.)

use crate::weights::StoredType;

/// A tensor as its pickle describes it; all counts in elements.
#[derive(Debug, PartialEq)]
pub(super) struct BareTensor {
    pub(super) dtype: StoredType,
    /// The storage's entry under `data/`.
    pub(super) storage: String,
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    pub(super) strides: Vec<u64>,
}

/// Most values a program may hold at once, remember, and recall.
const MAX_VALUES: usize = 1_000;
/// Most values made of others: what bounds how deep they nest. A parameter takes twelve.
const MAX_COMPOUNDS: usize = 64;

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Mark,
    Int(u64),
    Text(String),
    Global(String),
    Tuple(Vec<Value>),
    /// A persistent id: the tuple that names a storage.
    Storage(Box<Value>),
    /// The result of a call whose function and arguments are kept, not run.
    Call(Box<Value>, Box<Value>),
    /// What matters nowhere: None, bools, empty dicts.
    Other,
}

/// The tensor that a pickle program describes, if it describes one bare tensor.
pub(super) fn bare_tensor(program: &[u8]) -> Option<BareTensor> {
    describe(&Machine { program, ..Machine::default() }.run()?)
}

fn describe(value: &Value) -> Option<BareTensor> {
    let Value::Call(function, arguments) = value else { return None };
    let (Value::Global(function), Value::Tuple(arguments)) = (&**function, &**arguments) else {
        return None;
    };
    if function == "torch._utils _rebuild_parameter" {
        return describe(arguments.first()?);
    }
    if function != "torch._utils _rebuild_tensor_v2" {
        return None;
    }
    let [Value::Storage(id), Value::Int(offset), Value::Tuple(shape), Value::Tuple(strides), ..] =
        arguments.as_slice()
    else {
        return None;
    };
    let Value::Tuple(id) = &**id else { return None };
    let [Value::Text(kind), Value::Global(class), Value::Text(key), ..] = id.as_slice() else {
        return None;
    };
    if kind != "storage" {
        return None;
    }
    Some(BareTensor {
        dtype: storage_type(class)?,
        storage: key.clone(),
        offset: *offset,
        shape: integers(shape)?,
        strides: integers(strides)?,
    })
}

fn integers(values: &[Value]) -> Option<Vec<u64>> {
    let integer = |value: &Value| match value {
        Value::Int(integer) => Some(*integer),
        _ => None,
    };
    values.iter().map(integer).collect()
}

fn storage_type(class: &str) -> Option<StoredType> {
    Some(match class {
        "torch DoubleStorage" => StoredType::F64,
        "torch FloatStorage" => StoredType::F32,
        "torch HalfStorage" => StoredType::F16,
        "torch BFloat16Storage" => StoredType::BF16,
        "torch LongStorage" => StoredType::I64,
        "torch IntStorage" => StoredType::I32,
        "torch ShortStorage" => StoredType::I16,
        "torch CharStorage" => StoredType::I8,
        "torch ByteStorage" => StoredType::U8,
        "torch BoolStorage" => StoredType::Bool,
        _ => return None,
    })
}

#[derive(Default)]
struct Machine<'a> {
    program: &'a [u8],
    stack: Vec<Value>,
    memo: Vec<(u32, Value)>,
    recalled: usize,
    compounds: usize,
}

impl Machine<'_> {
    /// Runs the program to its end; `None` as soon as it is not one of those known here.
    fn run(mut self) -> Option<Value> {
        loop {
            let [opcode] = self.take()?;
            match opcode {
                b'.' => {
                    let value = self.stack.pop()?;
                    return self.stack.is_empty().then_some(value);
                }
                0x80 => drop(self.take::<1>()?),      // PROTO
                0x95 => drop(self.take::<8>()?),      // FRAME
                b'(' => self.stack.push(Value::Mark), // MARK
                b'N' | 0x88 | 0x89 | b'}' => self.stack.push(Value::Other), // None, bools, {}
                b'c' => self.global()?,               // GLOBAL
                0x93 => self.stack_global()?,         // STACK_GLOBAL
                b'X' => {
                    let length = u32::from_le_bytes(self.take()?);
                    self.text(length)?; // BINUNICODE
                }
                0x8c => {
                    let [length] = self.take()?;
                    self.text(length.into())?; // SHORT_BINUNICODE
                }
                b'K' => {
                    let [byte] = self.take()?;
                    self.stack.push(Value::Int(byte.into())); // BININT1
                }
                b'M' => {
                    let integer = u16::from_le_bytes(self.take()?);
                    self.stack.push(Value::Int(integer.into())); // BININT2
                }
                b'J' => {
                    let integer = i32::from_le_bytes(self.take()?);
                    self.stack.push(Value::Int(integer.try_into().ok()?)); // BININT
                }
                0x8a => self.long()?, // LONG1
                b'q' => {
                    let [slot] = self.take()?;
                    self.remember(slot.into())?; // BINPUT
                }
                b'r' => {
                    let slot = u32::from_le_bytes(self.take()?);
                    self.remember(slot)?; // LONG_BINPUT
                }
                0x94 => self.remember(self.memo.len().try_into().ok()?)?, // MEMOIZE
                b'h' => {
                    let [slot] = self.take()?;
                    self.recall(slot.into())?; // BINGET
                }
                b'j' => {
                    let slot = u32::from_le_bytes(self.take()?);
                    self.recall(slot)?; // LONG_BINGET
                }
                b')' => self.stack.push(Value::Tuple(Vec::new())), // EMPTY_TUPLE
                b't' => {
                    let mark = self.stack.iter().rposition(|value| *value == Value::Mark)?;
                    let values = self.stack.split_off(mark + 1);
                    self.stack.pop();
                    self.compound(Value::Tuple(values))?; // TUPLE
                }
                0x85..=0x87 => {
                    let at = self.stack.len().checked_sub(usize::from(opcode - 0x84))?;
                    let values = self.stack.split_off(at);
                    self.compound(Value::Tuple(values))?; // TUPLE1, TUPLE2, TUPLE3
                }
                b'Q' => {
                    let id = self.stack.pop()?;
                    self.compound(Value::Storage(Box::new(id)))?; // BINPERSID
                }
                b'R' => {
                    let arguments = self.stack.pop()?;
                    let function = self.stack.pop()?;
                    let call = Value::Call(Box::new(function), Box::new(arguments));
                    self.compound(call)?; // REDUCE
                }
                _ => return None,
            }
            if self.stack.len() > MAX_VALUES {
                return None;
            }
        }
    }

    fn compound(&mut self, value: Value) -> Option<()> {
        self.compounds += 1;
        self.stack.push(value);
        (self.compounds <= MAX_COMPOUNDS).then_some(())
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.program.split_first_chunk::<N>()?;
        self.program = rest;
        Some(*bytes)
    }

    fn text(&mut self, length: u32) -> Option<()> {
        let (text, rest) = self.program.split_at_checked(usize::try_from(length).ok()?)?;
        self.program = rest;
        self.stack.push(Value::Text(str::from_utf8(text).ok()?.to_owned()));
        Some(())
    }

    fn line(&mut self) -> Option<String> {
        let end = self.program.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = self.program.split_at_checked(end)?;
        self.program = rest.get(1..)?;
        str::from_utf8(line).ok().map(str::to_owned)
    }

    fn global(&mut self) -> Option<()> {
        let (module, name) = (self.line()?, self.line()?);
        self.stack.push(Value::Global(format!("{module} {name}")));
        Some(())
    }

    fn stack_global(&mut self) -> Option<()> {
        let (Value::Text(name), Value::Text(module)) = (self.stack.pop()?, self.stack.pop()?)
        else {
            return None;
        };
        self.stack.push(Value::Global(format!("{module} {name}")));
        Some(())
    }

    /// A little-endian integer of up to eight bytes.
    fn long(&mut self) -> Option<()> {
        let [length] = self.take()?;
        let (bytes, rest) = self.program.split_at_checked(length.into())?;
        self.program = rest;
        let mut wide = [0; 8];
        wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
        if bytes.last().is_some_and(|byte| byte & 0x80 != 0) {
            return None; // negative
        }
        self.stack.push(Value::Int(u64::from_le_bytes(wide)));
        Some(())
    }

    fn remember(&mut self, slot: u32) -> Option<()> {
        // A copy of a tuple is a copy of all it holds; what a tensor recalls are short texts.
        let value = match self.stack.last()? {
            value @ (Value::Text(_) | Value::Global(_) | Value::Int(_)) => value.clone(),
            _ => Value::Other,
        };
        if self.memo.len() >= MAX_VALUES {
            return None;
        }
        self.memo.push((slot, value));
        Some(())
    }

    fn recall(&mut self, slot: u32) -> Option<()> {
        let (_, value) = self.memo.iter().rev().find(|(known, _)| *known == slot)?;
        self.recalled += 1;
        if self.recalled > MAX_VALUES {
            return None;
        }
        self.stack.push(value.clone());
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What `torch.save(tensor)` writes, with the given shape and stride tuples.
    fn program(shape: &[u8], strides: &[u8]) -> Vec<u8> {
        let mut program = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00((".to_vec();
        program.extend(b"X\x07\0\0\0storageq\x01ctorch\nHalfStorage\nq\x02X\x01\0\0\x000");
        program.extend(b"q\x03X\x03\0\0\0cpuq\x04K\x18tq\x05QK\x00");
        program.extend(shape);
        program.extend(strides);
        program.extend(b"\x89ccollections\nOrderedDict\n)RtR.");
        program
    }

    #[test]
    fn describes_a_bare_tensor() {
        let tensor = bare_tensor(&program(b"K\x02K\x0c\x86", b"K\x0cK\x01\x86")).unwrap();
        assert_eq!(tensor.dtype, StoredType::F16);
        assert_eq!((tensor.storage.as_str(), tensor.offset), ("0", 0));
        assert_eq!((tensor.shape, tensor.strides), (vec![2, 12], vec![12, 1]));
    }

    #[test]
    fn integers_of_every_width_are_read() {
        let shape = b"(K\x02M\x00\x01J\x00\x00\x01\x00\x8a\x05\x00\x00\x00\x00\x01t";
        let tensor = bare_tensor(&program(shape, b")")).unwrap();
        assert_eq!(tensor.shape, [2, 256, 65_536, 1 << 32]);
    }

    #[test]
    fn a_negative_number_is_no_extent() {
        for number in [b"J\xff\xff\xff\xff".as_slice(), b"\x8a\x01\xff"] {
            assert_eq!(bare_tensor(&program(&[number, b"\x85"].concat(), b"K\x01\x85")), None);
        }
    }

    #[test]
    fn any_other_call_is_left_alone() {
        for program in [
            b"cos\nsystem\nX\x02\0\0\0ls\x85R.".as_slice(),
            b"cbuiltins\neval\n(X\x01\0\0\x001tR.",
            b"\x80\x02}.",
            b"",
            b".",
            b"(.",
            b"R.",
            b"Q.",
            b"t.",
            b"h\x00.",
        ] {
            assert_eq!(bare_tensor(program), None);
        }
    }

    #[test]
    fn values_nested_without_end_are_given_up() {
        let nested = [b"N".as_slice(), &[0x85].repeat(60_000), b"."].concat();
        assert_eq!(bare_tensor(&nested), None);
        let many = [b"N".repeat(60_000).as_slice(), b"."].concat();
        assert_eq!(bare_tensor(&many), None);
        let recalled = [b"Nq\x00".as_slice(), &b"h\x000".repeat(20_000), b"."].concat();
        assert_eq!(bare_tensor(&recalled), None);
    }

    proptest! {
        #[test]
        fn damaged_programs_never_panic(damage in proptest::collection::vec((0usize..150, any::<u8>()), 1..6)) {
            let mut program = program(b"K\x02K\x0c\x86", b"K\x0cK\x01\x86");
            for (at, byte) in damage {
                if let Some(place) = program.get_mut(at) {
                    *place = byte;
                }
            }
            let _ = bare_tensor(&program);
        }
    }
}
