// One set of strokes for two papers: a canvas on the screen, and an SVG file that is saved.

export type Align = 'left' | 'center' | 'right';

export interface Pen {
  rect(x: number, y: number, width: number, height: number, fill: string): void;
  frame(x: number, y: number, width: number, height: number, stroke: string, width_?: number): void;
  line(points: readonly [number, number][], stroke: string, width: number, dash?: number[]): void;
  area(points: readonly [number, number][], fill: string): void;
  dot(x: number, y: number, radius: number, fill: string): void;
  text(text: string, x: number, y: number, fill: string, size: number, align?: Align, mono?: boolean): void;
  image(image: HTMLCanvasElement, x: number, y: number, width: number, height: number): void;
}

const SANS = 'system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans CJK SC", sans-serif';
const MONO = 'ui-monospace, "SF Mono", "DejaVu Sans Mono", Menlo, Consolas, "Noto Sans Mono CJK SC", monospace';

export class CanvasPen implements Pen {
  constructor(readonly context: CanvasRenderingContext2D) {}

  rect(x: number, y: number, width: number, height: number, fill: string): void {
    this.context.fillStyle = fill;
    this.context.fillRect(x, y, width, height);
  }

  frame(x: number, y: number, width: number, height: number, stroke: string, thick = 1): void {
    this.context.strokeStyle = stroke;
    this.context.lineWidth = thick;
    this.context.strokeRect(x, y, width, height);
  }

  line(points: readonly [number, number][], stroke: string, width: number, dash: number[] = []): void {
    const { context } = this;
    context.strokeStyle = stroke;
    context.lineWidth = width;
    context.lineJoin = 'round';
    context.setLineDash(dash);
    context.beginPath();
    points.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
    context.setLineDash([]);
  }

  area(points: readonly [number, number][], fill: string): void {
    const { context } = this;
    context.fillStyle = fill;
    context.beginPath();
    points.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.closePath();
    context.fill();
  }

  dot(x: number, y: number, radius: number, fill: string): void {
    this.context.fillStyle = fill;
    this.context.beginPath();
    this.context.arc(x, y, radius, 0, 2 * Math.PI);
    this.context.fill();
  }

  text(text: string, x: number, y: number, fill: string, size: number, align: Align = 'left', mono = false): void {
    const { context } = this;
    context.font = `${size}px ${mono ? MONO : SANS}`;
    context.textAlign = align;
    context.textBaseline = 'middle';
    context.fillStyle = fill;
    context.fillText(text, x, y);
  }

  image(image: HTMLCanvasElement, x: number, y: number, width: number, height: number): void {
    // Enlarged cells stay sharp; a picture made smaller is averaged, so that no unit is left out.
    this.context.imageSmoothingEnabled = image.width > width || image.height > height;
    this.context.imageSmoothingQuality = 'high';
    this.context.drawImage(image, x, y, width, height);
  }
}

export class SvgPen implements Pen {
  private readonly strokes: string[] = [];

  rect(x: number, y: number, width: number, height: number, fill: string): void {
    this.strokes.push(`<rect x="${r(x)}" y="${r(y)}" width="${r(width)}" height="${r(height)}" fill="${fill}"/>`);
  }

  frame(x: number, y: number, width: number, height: number, stroke: string, thick = 1): void {
    const box = `x="${r(x)}" y="${r(y)}" width="${r(width)}" height="${r(height)}"`;
    this.strokes.push(`<rect ${box} fill="none" stroke="${stroke}" stroke-width="${thick}"/>`);
  }

  line(points: readonly [number, number][], stroke: string, width: number, dash: number[] = []): void {
    const dashes = dash.length ? ` stroke-dasharray="${dash.join(' ')}"` : '';
    const look = `fill="none" stroke="${stroke}" stroke-width="${width}" stroke-linejoin="round"${dashes}`;
    this.strokes.push(`<polyline points="${path(points)}" ${look}/>`);
  }

  area(points: readonly [number, number][], fill: string): void {
    this.strokes.push(`<polygon points="${path(points)}" fill="${fill}"/>`);
  }

  dot(x: number, y: number, radius: number, fill: string): void {
    this.strokes.push(`<circle cx="${r(x)}" cy="${r(y)}" r="${radius}" fill="${fill}"/>`);
  }

  text(text: string, x: number, y: number, fill: string, size: number, align: Align = 'left', mono = false): void {
    const anchor = { left: 'start', center: 'middle', right: 'end' }[align];
    const font = (mono ? MONO : SANS).replace(/"/g, "'");
    const look = `fill="${fill}" font-size="${size}" font-family="${font}" text-anchor="${anchor}"`;
    this.strokes.push(`<text x="${r(x)}" y="${r(y)}" dominant-baseline="central" ${look}>${escape(text)}</text>`);
  }

  image(image: HTMLCanvasElement, x: number, y: number, width: number, height: number): void {
    const box = `x="${r(x)}" y="${r(y)}" width="${r(width)}" height="${r(height)}"`;
    const look = 'preserveAspectRatio="none" style="image-rendering:pixelated"';
    this.strokes.push(`<image ${box} ${look} href="${image.toDataURL('image/png')}"/>`);
  }

  file(width: number, height: number, paper: string): string {
    const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`;
    return `${open}\n<rect width="100%" height="100%" fill="${paper}"/>\n${this.strokes.join('\n')}\n</svg>\n`;
  }
}

const r = (value: number) => Math.round(value * 100) / 100;
const path = (points: readonly [number, number][]) => points.map(([x, y]) => `${r(x)},${r(y)}`).join(' ');

export function escape(text: string): string {
  return text
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;')
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd');
}
