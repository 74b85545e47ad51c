//! Selling and taking back, under random shops and random orders.

mod cancel;
mod settle;
mod shop;
