//! infra-database
