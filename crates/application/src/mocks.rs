//! A unit of work made of mocks: each test expects just what it is about, anything else panics.
