//! The part of `onnx.proto` that import reads, as prost messages; unknown fields are skipped by the decoder.
//!
//! Field numbers are those of ONNX 1.20. Byte strings stay slices of the input ([`Bytes`]), so weights are never copied.

use bytes::Bytes;

/// A model file.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ModelProto {
    /// Version of the file format.
    #[prost(int64, optional, tag = "1")]
    pub ir_version: Option<i64>,
    /// Operator sets that nodes refer to, by domain.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// The network.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
}

/// A versioned operator set.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OperatorSetIdProto {
    /// Empty or `ai.onnx` for the standard operators.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// Its version.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// A network.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GraphProto {
    /// Operators, producers first.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// Name of the graph.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Constants.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// Inputs; in old files the initializers too.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// Results.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
}

/// An operator.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeProto {
    /// Tensor names; empty where an optional input is left out.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Tensor names; empty where an optional output is left out.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// May be empty.
    #[prost(string, tag = "3")]
    pub name: String,
    /// The operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// The operator's set.
    #[prost(string, tag = "7")]
    pub domain: String,
    /// Attributes.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
}

/// An attribute; `kind` says which value counts.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AttributeProto {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// One of [`attribute_type`] (field `type`).
    #[prost(int32, tag = "20")]
    pub kind: i32,
    /// A number.
    #[prost(float, tag = "2")]
    pub f: f32,
    /// An integer.
    #[prost(int64, tag = "3")]
    pub i: i64,
    /// A string.
    #[prost(bytes = "bytes", tag = "4")]
    pub s: Bytes,
    /// A tensor.
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    /// Numbers.
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    /// Integers.
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
}

/// Values of [`AttributeProto::kind`].
pub mod attribute_type {
    /// A number.
    pub const FLOAT: i32 = 1;
    /// An integer.
    pub const INT: i32 = 2;
    /// A string.
    pub const STRING: i32 = 3;
    /// A tensor.
    pub const TENSOR: i32 = 4;
    /// Numbers.
    pub const FLOATS: i32 = 6;
    /// Integers.
    pub const INTS: i32 = 7;
}

/// A constant.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorProto {
    /// Shape.
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    /// One of [`data_type`].
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Elements of a FLOAT tensor.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Elements of an INT32, INT16, INT8, UINT16, UINT8 or BOOL tensor, the bits of a FLOAT16 or BFLOAT16 one, and bytes of elements under 8 bits.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Elements of an INT64 tensor.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// Elements of a DOUBLE tensor.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Elements of a UINT32 or UINT64 tensor.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// Its name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Little-endian elements.
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub raw_data: Option<Bytes>,
    /// Where external elements are: `location`, `offset`, `length`.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// 0: in this message; 1: external.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

/// Values of [`TensorProto::data_type`] that are imported.
pub mod data_type {
    /// Single precision.
    pub const FLOAT: i32 = 1;
    /// Unsigned 8-bit.
    pub const UINT8: i32 = 2;
    /// Signed 8-bit.
    pub const INT8: i32 = 3;
    /// Signed 32-bit.
    pub const INT32: i32 = 6;
    /// Signed 64-bit.
    pub const INT64: i32 = 7;
    /// Signed 16-bit.
    pub const INT16: i32 = 5;
    /// Half precision.
    pub const FLOAT16: i32 = 10;
    /// Double precision.
    pub const DOUBLE: i32 = 11;
    /// The upper half of single precision.
    pub const BFLOAT16: i32 = 16;
    /// Unsigned 16-bit.
    pub const UINT16: i32 = 4;
    /// Truth values, a byte each.
    pub const BOOL: i32 = 9;
    /// Unsigned 32-bit.
    pub const UINT32: i32 = 12;
    /// Unsigned 64-bit.
    pub const UINT64: i32 = 13;
    /// Unsigned 4-bit, two to a byte.
    pub const UINT4: i32 = 21;
    /// Signed 4-bit, two to a byte.
    pub const INT4: i32 = 22;
    /// Unsigned 2-bit, four to a byte.
    pub const UINT2: i32 = 25;
    /// Signed 2-bit, four to a byte.
    pub const INT2: i32 = 26;
}

/// A pair of strings.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StringStringEntryProto {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A named value.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ValueInfoProto {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its type (field `type`).
    #[prost(message, optional, tag = "2")]
    pub type_: Option<TypeProto>,
}

/// A type; only tensors are read.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TypeProto {
    /// Present for tensors.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

/// Type of a tensor.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorTypeProto {
    /// One of [`data_type`].
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    /// Absent when even the rank is unknown.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// A shape.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorShapeProto {
    /// Outermost first.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// An extent: known, named or neither.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DimensionProto {
    /// Known extent.
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    /// Name of an unknown extent.
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
}
