package lab

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// Chart is a plot of lines or of grouped bars, written as SVG. It knows nothing of markets.
type Chart struct {
	Title, Note string
	X, Y        string // axes with their units
	Lines       []Line
	Groups      []string // of bars; Bars[i].Values are by group
	Bars        []Bar
	// Low and High fix the y axis when Low < High; else it holds all values, and zero unless Close.
	Low, High float64
	Close     bool
	Places    int // of the figures on bars
	// From and To cut the x axis of lines when From < To.
	From, To float64
}

// Line is a series of points; NaN in Y breaks it.
type Line struct {
	Name   string
	Colour string
	Bold   bool
	Dashed bool
	X, Y   []float64
}

// Bar is one colour of bars.
type Bar struct {
	Name   string
	Colour string
	Values []float64
}

// Geometry in pixels.
const (
	chartWidth, chartHeight = 940.0, 470.0
	plotLeft, plotTop       = 78.0, 62.0
	plotWidth, plotHeight   = 660.0, 336.0
	fontFamily              = "font-family=\"DejaVu Sans, Verdana, sans-serif\""
	inkColour, faintColour  = "#222222", "#6b6b6b"
	gridColour              = "#e3e3e3"
)

// palette is Okabe and Ito's, which colour-blind readers can tell apart, less the yellow that white paper swallows.
func palette(i int) string {
	colours := [...]string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444", "#8C564B"}
	return colours[i%len(colours)]
}

// SVG draws the chart.
func (c *Chart) SVG() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" height=\"%g\" role=\"img\">\n",
		chartWidth, chartHeight, chartWidth, chartHeight)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n", html.EscapeString(c.Title))
	text(&b, plotLeft, 28, 17, "start", inkColour, c.Title)
	text(&b, plotLeft, 48, 12, "start", faintColour, c.Note)
	low, high := c.yRange()
	yTicks, yStep := ticks(low, high, 6)
	y := func(v float64) float64 { return plotTop + plotHeight*(1-(v-low)/(high-low)) }
	for _, v := range yTicks {
		fmt.Fprintf(&b, "<line x1=\"%g\" y1=\"%.1f\" x2=\"%g\" y2=\"%.1f\" stroke=\"%s\"/>\n", plotLeft, y(v), plotLeft+plotWidth, y(v), gridColour)
		text(&b, plotLeft-8, y(v)+4, 12, "end", inkColour, label(v, yStep))
	}
	fmt.Fprintf(&b, "<text transform=\"translate(20 %g) rotate(-90)\" text-anchor=\"middle\" font-size=\"13\" fill=\"%s\" %s>%s</text>\n",
		plotTop+plotHeight/2, inkColour, fontFamily, html.EscapeString(c.Y))
	text(&b, plotLeft+plotWidth/2, chartHeight-18, 13, "middle", inkColour, c.X)
	if len(c.Bars) > 0 {
		c.drawBars(&b, y)
	} else {
		c.drawLines(&b, y)
	}
	fmt.Fprintf(&b, "<path d=\"M%g %gV%gH%g\" fill=\"none\" stroke=\"%s\"/>\n</svg>\n", plotLeft, plotTop, plotTop+plotHeight, plotLeft+plotWidth, inkColour)
	return b.String()
}

func text(b *strings.Builder, x, y float64, size int, anchor, colour, s string) {
	fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" text-anchor=\"%s\" fill=\"%s\" %s>%s</text>\n",
		x, y, size, anchor, colour, fontFamily, html.EscapeString(s))
}

func (c *Chart) yRange() (low, high float64) {
	if c.Low < c.High {
		return c.Low, c.High
	}
	least := math.Inf(1)
	for _, l := range c.Lines {
		for i, v := range l.Y {
			if !math.IsNaN(v) && c.shows(l.X[i]) {
				high, least = max(high, v), min(least, v)
			}
		}
	}
	for _, bar := range c.Bars {
		for _, v := range bar.Values {
			high = max(high, v*1.06) // room for the figure on top
		}
	}
	if high == 0 {
		high = 1
	}
	if c.Close && least < high {
		low = least
	}
	_, step := ticks(low, high, 6)
	return step * math.Floor(low/step+1e-9), step * math.Ceil(high/step-1e-9)
}

func (c *Chart) shows(x float64) bool { return c.From >= c.To || (x >= c.From && x <= c.To) }

// ticks are round numbers in a range, about so many, and their distance.
func ticks(low, high float64, about int) (at []float64, step float64) {
	raw := (high - low) / float64(about)
	step = math.Pow(10, math.Floor(math.Log10(raw)))
	for _, k := range [...]float64{10, 5, 2.5, 2} {
		if step*k <= raw*1.0001 {
			step *= k
			break
		}
	}
	if step < raw*0.7 {
		step *= 2
	}
	for i := math.Ceil(low/step - 1e-9); i*step <= high+step*1e-9; i++ {
		at = append(at, i*step+0) // no negative zero
	}
	return at, step
}

// label writes a tick with as many places as its step needs.
func label(v, step float64) string {
	places := 0
	for s := step; places < 6 && math.Abs(s-math.Round(s)) > 1e-9; s *= 10 {
		places++
	}
	s := strconv.FormatFloat(v, 'f', places, 64)
	if i := strings.IndexByte(s+".", '.'); places == 0 && v >= 10_000 {
		return s[:i-3] + "\u2009" + s[i-3:]
	}
	return s
}

func (c *Chart) drawLines(b *strings.Builder, y func(float64) float64) {
	from, to := c.From, c.To
	if from >= to {
		from, to = math.Inf(1), math.Inf(-1)
		for _, l := range c.Lines {
			for _, v := range l.X {
				from, to = min(from, v), max(to, v)
			}
		}
		if from >= to {
			from, to = 0, 1
		}
	}
	x := func(v float64) float64 { return plotLeft + plotWidth*(v-from)/(to-from) }
	xTicks, step := ticks(from, to, 8)
	for _, v := range xTicks {
		fmt.Fprintf(b, "<line x1=\"%.1f\" y1=\"%g\" x2=\"%.1f\" y2=\"%g\" stroke=\"%s\"/>\n", x(v), plotTop+plotHeight, x(v), plotTop+plotHeight+5, inkColour)
		text(b, x(v), plotTop+plotHeight+20, 12, "middle", inkColour, label(v, step))
	}
	fmt.Fprintf(b, "<clipPath id=\"plot\"><rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\"/></clipPath>\n", plotLeft, plotTop-2, plotWidth, plotHeight+3)
	for i, l := range c.Lines {
		style := fmt.Sprintf("stroke=\"%s\" stroke-width=\"%s\"", l.Colour, map[bool]string{true: "3", false: "1.6"}[l.Bold])
		if l.Dashed {
			style += " stroke-dasharray=\"6 4\""
		}
		fmt.Fprintf(b, "<path d=\"%s\" fill=\"none\" stroke-linejoin=\"round\" stroke-linecap=\"round\" clip-path=\"url(#plot)\" %s/>\n", l.path(x, y), style)
		at := plotTop + 12 + 22*float64(i)
		fmt.Fprintf(b, "<line x1=\"%g\" y1=\"%g\" x2=\"%g\" y2=\"%g\" %s/>\n", plotLeft+plotWidth+16, at, plotLeft+plotWidth+40, at, style)
		text(b, plotLeft+plotWidth+47, at+4, 12, "start", inkColour, l.Name)
	}
}

// path breaks at NaN; a point alone becomes a dot by its round cap.
func (l *Line) path(x, y func(float64) float64) string {
	var d strings.Builder
	pen := byte('M')
	for i, v := range l.Y {
		if math.IsNaN(v) {
			pen = 'M'
			continue
		}
		fmt.Fprintf(&d, "%c%.1f %.1f", pen, x(l.X[i]), y(v))
		if pen == 'M' {
			d.WriteString("h0")
		}
		pen = 'L'
	}
	return d.String()
}

func (c *Chart) drawBars(b *strings.Builder, y func(float64) float64) {
	room := plotWidth / float64(len(c.Groups))
	width := room * 0.72 / float64(len(c.Bars))
	size := 11
	if room < 90 {
		size = 10
	}
	for g, name := range c.Groups {
		left := plotLeft + room*float64(g) + room*0.14
		text(b, left+room*0.36, plotTop+plotHeight+18, size, "middle", inkColour, name)
		for i, bar := range c.Bars {
			v := bar.Values[g]
			at := left + width*float64(i)
			fmt.Fprintf(b, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", at, y(v), width*0.94, max(0, plotTop+plotHeight-y(v)), bar.Colour)
			if math.Abs(v)*math.Pow10(c.Places) >= 0.5 { // zeros side by side would run into each other
				text(b, at+width*0.47, y(v)-4, 10, "middle", faintColour, strconv.FormatFloat(v, 'f', c.Places, 64))
			}
		}
	}
	for i, bar := range c.Bars {
		at := plotTop + 6 + 22*float64(i)
		fmt.Fprintf(b, "<rect x=\"%g\" y=\"%g\" width=\"14\" height=\"14\" fill=\"%s\"/>\n", plotLeft+plotWidth+16, at, bar.Colour)
		text(b, plotLeft+plotWidth+38, at+12, 12, "start", inkColour, bar.Name)
	}
}
