//! The picture beside the table: rate and cost of each contender.

use std::path::Path;

use plotters::prelude::*;

use crate::table::{COST, RATE, Results};

const SIZE: (u32, u32) = (900, 360);

pub fn draw(results: &Results, path: &Path) -> anyhow::Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2);
    let failed = |error: DrawingAreaErrorKind<_>| anyhow::anyhow!("the plot: {error}");
    bars(&left, results, "Gbit/s, one connection", RATE).map_err(failed)?;
    bars(&right, results, "CPU seconds per GB", COST).map_err(failed)?;
    root.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn bars<'a>(
    area: &Area<'a>,
    results: &Results,
    caption: &str,
    column: usize,
) -> Result<(), Drawn<'a>> {
    let values: Vec<_> = results
        .rows
        .iter()
        .map(|row| (row.name.as_str(), row.median(column).unwrap_or(0.0)))
        .collect();
    let most = values.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let count = values.len();
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(20)
        .build_cartesian_2d(0.0..most * 1.6, 0.0..count as f64)?;
    for (at, (name, value)) in values.iter().enumerate() {
        let (low, high) = ((count - at) as f64 - 0.85, (count - at) as f64 - 0.15);
        let color = if name.starts_with("pathweave") {
            BLUE
        } else {
            RGBColor(150, 150, 150)
        };
        let bar = Rectangle::new([(0.0, low), (*value, high)], color.filled());
        chart.draw_series([bar])?;
        let label = format!("{name} {value:.2}");
        let text = Text::new(
            label,
            (*value + most * 0.02, high - 0.1),
            ("sans-serif", 13),
        );
        chart.draw_series([text])?;
    }
    Ok(())
}
