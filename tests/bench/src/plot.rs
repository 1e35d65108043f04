//! Bar charts in SVG.

use std::error::Error;

use anyhow::anyhow;
use plotters::{
    chart::{ChartBuilder, SeriesLabelPosition},
    coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter},
    drawing::IntoDrawingArea,
    element::{EmptyElement, Rectangle, Text},
    prelude::{Color, IntoFont, IntoLogRange, RGBColor, SVGBackend},
    style::{
        BLACK, TextStyle, WHITE,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::figures::short;

/// Width of a plot, in pixels.
const WIDTH: u32 = 900;
/// Width of the names on the left.
const NAMES: u32 = 190;
/// Height of a bar.
const BAR: u32 = 11;
/// Height of the title, the axis and the margins.
const FRAME: u32 = 80;
/// Height of a line of the legend.
const LEGEND_LINE: u32 = 19;
/// The part of a label's height that its bars fill.
const FILLED: f64 = 0.8;
const FONT: &str = "sans-serif";
/// The colors of the series, distinguishable also by people with color blindness.
const COLORS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(230, 159, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

/// A bar chart with a group of bars for each label.
pub struct Plot {
    /// The beginning of the file name.
    pub name: &'static str,
    /// The title, with the unit.
    pub title: &'static str,
    /// The scale of the values.
    pub scale: Scale,
    /// The labels of the groups, from top to bottom.
    pub labels: Vec<String>,
    /// The bars of each group. A series without values is not shown, but keeps its color.
    pub series: Vec<Series>,
}

/// The scale of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From zero.
    Linear,
    /// Powers of ten.
    Logarithmic,
}

/// Values that belong together.
pub struct Series {
    name: &'static str,
    /// A value for each label; some may be missing.
    values: Vec<Option<f64>>,
}

impl Series {
    /// A series with a value for each label.
    pub fn new(name: &'static str, values: Vec<Option<f64>>) -> Self {
        Self { name, values }
    }
}

impl Plot {
    /// Draws the plot.
    pub fn svg(&self) -> anyhow::Result<String> {
        let (min, max) = self.range();
        let mut svg = String::new();
        let drawn = match self.scale {
            Scale::Linear => self.draw(&mut svg, min..max, min),
            Scale::Logarithmic => self.draw(&mut svg, (min..max).log_scale(), min),
        };
        drawn.map_err(|error| anyhow!("cannot draw the plot {}: {error}", self.name))?;
        Ok(svg)
    }

    /// The range of the axis, with room for the number at the end of the longest bar.
    fn range(&self) -> (f64, f64) {
        let values = self.series.iter().flat_map(|series| &series.values).flatten();
        let (min, max) = values
            .filter(|value| is_drawable(**value))
            .fold((f64::INFINITY, 0.0), |(min, max), value| (f64::min(min, *value), f64::max(max, *value)));
        match self.scale {
            _ if max == 0.0 => (if self.scale == Scale::Linear { 0.0 } else { 0.1 }, 1.0),
            Scale::Linear => (0.0, max * 1.1),
            // So low that the shortest bar can be seen.
            Scale::Logarithmic => (10_f64.powf((min * 0.8).log10().floor()), max * 2.0),
        }
    }

    fn draw<X>(&self, svg: &mut String, range: X, min: f64) -> Result<(), Box<dyn Error>>
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let shown = self.series.iter().zip(COLORS.iter().cycle());
        let shown: Vec<_> = shown.filter(|(series, _)| series.values.iter().any(Option::is_some)).collect();
        let (groups, bars) = (u32::try_from(self.labels.len())?, u32::try_from(shown.len())?);
        let group_height = f64::from(bars.max(1) * BAR) / FILLED;
        // The legend is above the bars.
        let legend = f64::from(bars * LEGEND_LINE + 10) / group_height;
        let top = f64::from(groups) + legend;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
        let height = FRAME + (top * group_height).ceil() as u32;

        let area = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut builder = ChartBuilder::on(&area);
        builder.caption(self.title, (FONT, 17)).margin(10).x_label_area_size(25).y_label_area_size(NAMES);
        let mut chart = builder.build_cartesian_2d(range, 0.0..top)?;
        let format = |value: &f64| axis_label(*value);
        chart.configure_mesh().disable_y_mesh().y_labels(0).x_label_formatter(&format).draw()?;

        let text = |size: i32, horizontal| {
            TextStyle::from((FONT, size).into_font()).color(&BLACK).pos(Pos::new(horizontal, VPos::Center))
        };
        // The top of a group.
        let group_top = |group: usize| -> Result<f64, Box<dyn Error>> { Ok(f64::from(groups - u32::try_from(group)?)) };
        for (group, label) in self.labels.iter().enumerate() {
            let place = (min, group_top(group)? - 0.5);
            let name = EmptyElement::at(place) + Text::new(label.clone(), (-6, 0), text(12, HPos::Right));
            chart.draw_series([name])?;
        }
        let bar_height = FILLED / f64::from(bars.max(1));
        for (number, (series, color)) in (0_u32..).zip(shown) {
            let (mut rectangles, mut numbers) = (Vec::new(), Vec::new());
            for (group, value) in series.values.iter().enumerate() {
                let Some(value) = value.filter(|value| is_drawable(*value)) else { continue };
                let top = group_top(group)? - (1.0 - FILLED) / 2.0 - f64::from(number) * bar_height;
                rectangles.push(Rectangle::new([(min, top), (value, top - bar_height)], color.filled()));
                let place = EmptyElement::at((value, top - bar_height / 2.0));
                numbers.push(place + Text::new(short(value), (4, 0), text(10, HPos::Left)));
            }
            let key = move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], color.filled());
            chart.draw_series(rectangles)?.label(series.name).legend(key);
            chart.draw_series(numbers)?;
        }
        let mut legend = chart.configure_series_labels();
        legend.position(SeriesLabelPosition::UpperRight).background_style(WHITE).label_font((FONT, 12)).draw()?;
        area.present()?;
        Ok(())
    }
}

/// Whether a value can be drawn on either scale.
fn is_drawable(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

/// A number without the decimals that it does not need.
fn axis_label(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(scale: Scale, values: [Option<f64>; 2]) -> Plot {
        let labels = vec!["a <group>".to_owned(), "search".to_owned()];
        let series = vec![Series::new("server", values.to_vec()), Series::new("floor", vec![Some(50.0), Some(60.0)])];
        Plot { name: "throughput", title: "Requests per second", scale, labels, series }
    }

    #[test]
    fn a_plot_has_labels_series_and_values() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let svg = plot(scale, [Some(123.0), None]).svg().unwrap();
            for text in ["Requests per second", "a &lt;group&gt;", "search", "server", "floor", "123", "50.0"] {
                assert!(svg.contains(text), "{scale:?}: {text}");
            }
        }
    }

    #[test]
    fn a_logarithmic_axis_begins_below_the_shortest_bar() {
        assert_eq!(plot(Scale::Logarithmic, [Some(10.0), Some(200.0)]).range(), (1.0, 400.0));
        assert_eq!(plot(Scale::Logarithmic, [Some(30.0), Some(f64::NAN)]).range(), (10.0, 120.0));
        assert!(plot(Scale::Linear, [Some(100.0), None]).range().0.abs() < f64::EPSILON);
    }

    #[test]
    fn a_series_without_values_is_not_shown() {
        let svg = plot(Scale::Logarithmic, [None; 2]).svg().unwrap();
        assert!(!svg.contains("server") && svg.contains("floor"), "{svg}");
        let plot = Plot { series: vec![Series::new("server", vec![None, None])], ..plot(Scale::Linear, [None; 2]) };
        assert!(plot.svg().unwrap().contains("search"));
    }

    #[test]
    fn axis_labels_have_no_superfluous_decimals() {
        assert_eq!([axis_label(1000.0), axis_label(0.1), axis_label(0.0)], ["1000", "0.1", "0"]);
    }
}
