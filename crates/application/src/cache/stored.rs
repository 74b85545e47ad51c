//! Cached values as JSON.

use jangteo_domain::coupon::Coupon;
use jangteo_domain::{ProductId, StoreId, VariantId};
use serde::{Deserialize, Serialize};

use crate::coupon_record::CouponRecord;
use crate::queries::{
    Page, PageRequest, PopularProduct, PopularProducts, ProductDetail, ProductView, VariantView,
};
use crate::snapshot::{Moment, MoneyText, from_json, to_json};

/// A value that can be written as a text and read again. What another version wrote may not be readable.
pub trait Stored: Sized {
    /// Writes it; `None` for what is not worth keeping for others.
    fn write(&self) -> Option<String>;

    /// Reads it.
    fn read(text: &str) -> Option<Self>;

    /// About how many bytes of memory it takes.
    fn weight(&self) -> usize;
}

fn weight_of_product(product: &ProductView) -> usize {
    size_of::<ProductView>() + product.name.len() + product.store_name.len()
}

#[derive(Serialize, Deserialize)]
struct PageRecord<T> {
    content: Vec<T>,
    page: u32,
    size: u32,
    total: u64,
}

impl<T> PageRecord<T> {
    fn of<V>(page: &Page<V>, record: impl FnMut(&V) -> T) -> Self {
        let PageRequest { page: number, size } = page.request;
        Self { content: page.content.iter().map(record).collect(), page: number, size, total: page.total }
    }

    fn into_page<V>(self, value: impl FnMut(T) -> Option<V>) -> Option<Page<V>> {
        let content = self.content.into_iter().map(value).collect::<Option<_>>()?;
        Some(Page { content, request: PageRequest { page: self.page, size: self.size }, total: self.total })
    }
}

#[derive(Serialize, Deserialize)]
struct ProductRecord {
    id: i64,
    store: i64,
    store_name: String,
    name: String,
    price: MoneyText,
    stock: i64,
    sales_volume: i64,
    created_at: Moment,
}

impl From<&ProductView> for ProductRecord {
    fn from(product: &ProductView) -> Self {
        Self {
            id: product.id.0,
            store: product.store.0,
            store_name: product.store_name.clone(),
            name: product.name.clone(),
            price: MoneyText(product.price),
            stock: product.stock,
            sales_volume: product.sales_volume,
            created_at: Moment(product.created_at),
        }
    }
}

impl From<ProductRecord> for ProductView {
    fn from(record: ProductRecord) -> Self {
        Self {
            id: ProductId(record.id),
            store: StoreId(record.store),
            store_name: record.store_name,
            name: record.name,
            price: record.price.0,
            stock: record.stock,
            sales_volume: record.sales_volume,
            created_at: record.created_at.0,
        }
    }
}

impl Stored for Page<ProductView> {
    fn write(&self) -> Option<String> {
        Some(to_json(&PageRecord::of(self, |product| ProductRecord::from(product))))
    }

    fn read(text: &str) -> Option<Self> {
        from_json::<PageRecord<ProductRecord>>(text).ok()?.into_page(|record| Some(record.into()))
    }

    fn weight(&self) -> usize {
        self.content.iter().map(weight_of_product).sum()
    }
}

#[derive(Serialize, Deserialize)]
struct DetailRecord {
    product: ProductRecord,
    description: String,
    images: Vec<String>,
    variants: Vec<(i64, String, MoneyText, i64)>,
}

impl From<&ProductDetail> for DetailRecord {
    fn from(detail: &ProductDetail) -> Self {
        let variant = |variant: &VariantView| {
            (variant.id.0, variant.name.clone(), MoneyText(variant.price), variant.stock)
        };
        Self {
            product: ProductRecord::from(&detail.product),
            description: detail.description.clone(),
            images: detail.images.clone(),
            variants: detail.variants.iter().map(variant).collect(),
        }
    }
}

impl From<DetailRecord> for ProductDetail {
    fn from(record: DetailRecord) -> Self {
        let variants = record.variants.into_iter().map(|(id, name, MoneyText(price), stock)| VariantView {
            id: VariantId(id),
            name,
            price,
            stock,
        });
        Self {
            product: record.product.into(),
            description: record.description,
            images: record.images,
            variants: variants.collect(),
        }
    }
}

/// A product that does not exist is remembered only by the instance that was asked: anybody can ask for any number of them.
impl Stored for Option<ProductDetail> {
    fn write(&self) -> Option<String> {
        self.as_ref().map(|detail| to_json(&DetailRecord::from(detail)))
    }

    fn read(text: &str) -> Option<Self> {
        from_json::<DetailRecord>(text).ok().map(|record| Some(record.into()))
    }

    fn weight(&self) -> usize {
        self.as_ref().map_or(0, |detail| {
            let variant = |variant: &VariantView| size_of::<VariantView>() + variant.name.len();
            weight_of_product(&detail.product)
                + detail.description.len()
                + detail.images.iter().map(String::len).sum::<usize>()
                + detail.variants.iter().map(variant).sum::<usize>()
        })
    }
}

#[derive(Serialize, Deserialize)]
struct PopularRecord {
    products: Vec<(i64, String, MoneyText, i64)>,
    generated_at: Moment,
}

impl Stored for PopularProducts {
    fn write(&self) -> Option<String> {
        let record = |product: &PopularProduct| {
            (product.id.0, product.name.clone(), MoneyText(product.price), product.sold)
        };
        let products = self.products.iter().map(record).collect();
        Some(to_json(&PopularRecord { products, generated_at: Moment(self.generated_at) }))
    }

    fn read(text: &str) -> Option<Self> {
        let PopularRecord { products, generated_at } = from_json(text).ok()?;
        let products = products.into_iter().map(|(id, name, MoneyText(price), sold)| PopularProduct {
            id: ProductId(id),
            name,
            price,
            sold,
        });
        Some(Self { products: products.collect(), generated_at: generated_at.0 })
    }

    fn weight(&self) -> usize {
        self.products.iter().map(|product| size_of::<PopularProduct>() + product.name.len()).sum()
    }
}

impl Stored for Page<Coupon> {
    fn write(&self) -> Option<String> {
        Some(to_json(&PageRecord::of(self, |coupon| CouponRecord::from(coupon))))
    }

    fn read(text: &str) -> Option<Self> {
        from_json::<PageRecord<CouponRecord>>(text).ok()?.into_page(|coupon| coupon.try_into().ok())
    }

    fn weight(&self) -> usize {
        self.content.iter().map(|coupon| size_of::<Coupon>() + coupon.name.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use chrono::{DateTime, TimeDelta};
    use jangteo_domain::coupon::Discount;
    use jangteo_domain::{CouponId, Money};
    use rust_decimal::Decimal;

    use super::*;

    const REQUEST: PageRequest = PageRequest { page: 3, size: 20 };

    fn comes_back<V: Stored + PartialEq + Debug>(value: V) {
        assert_eq!(V::read(&value.write().unwrap()), Some(value));
        assert_eq!(V::read("{}"), None);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let created_at = DateTime::UNIX_EPOCH + TimeDelta::microseconds(1_234_567);
        let product = ProductView {
            id: ProductId(7),
            store: StoreId(1),
            store_name: "장터".to_owned(),
            name: "\"Pear\"".to_owned(),
            price: Money::from_minor(19_900_05),
            stock: 3,
            sales_volume: 4,
            created_at,
        };
        let coupon = Coupon {
            id: CouponId(1),
            code: "TENTH".parse().unwrap(),
            name: "A tenth".to_owned(),
            discount: Discount::Percent(Decimal::new(1250, 2)),
            min_order_amount: Money::from_minor(1),
            max_discount: Some(Money::from_minor(2)),
            claim_starts_at: created_at,
            claim_ends_at: created_at,
            valid_until: Some(created_at),
            valid_days: Some(30),
            total_quantity: 10,
            issued_quantity: 9,
            next_ticket: 12,
            retired_at: Some(created_at),
            version: 3,
        };
        let fixed = Coupon {
            discount: Discount::Fixed(Money::from_minor(500)),
            max_discount: None,
            ..coupon.clone()
        };
        comes_back(Page { content: vec![coupon, fixed], request: REQUEST, total: 2 });
        let sold =
            PopularProduct { id: product.id, name: product.name.clone(), price: product.price, sold: 9 };
        comes_back(PopularProducts { products: vec![sold], generated_at: created_at });
        comes_back(Page { content: vec![product.clone()], request: REQUEST, total: 61 });
        let variant = VariantView { id: VariantId(5), name: "M".to_owned(), price: product.price, stock: 2 };
        comes_back(Some(ProductDetail {
            product,
            description: "two\nlines".to_owned(),
            images: vec!["https://example.com/a.png".to_owned()],
            variants: vec![variant],
        }));
        assert_eq!(None::<ProductDetail>.write(), None);
    }
}
