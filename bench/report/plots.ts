/** Plots of the results, drawn by ECharts as SVG. */
import * as echarts from 'echarts';
import { STEPS } from '../load/conversation.js';
import { PERCENTILES } from '../load/latencies.js';
import { counting, type Row } from '../runner.js';
import { figure, figureOf, written } from './figures.js';

export interface Plot {
  readonly scenario: string;
  readonly file: string;
  readonly title: string;
  readonly svg: string;
}

const WIDTH = 960;
const HEIGHT = 480;
const COLORS: { readonly [target: string]: string } = {
  direct: '#8c8c8c', haproxy: '#2f6db5', nginx: '#3a9e5f', pipe: '#b58f2f', 'vscode-jsonrpc': '#b5482f', skyport: '#7a3fb5', target: '#7a3fb5',
};
const FONT = 'DejaVu Sans, Helvetica, Arial, sans-serif';

export function plotsOf(rows: readonly Row[]): Plot[] {
  const scenarios = [...new Set(rows.map(({ scenario }) => scenario))];
  return scenarios.flatMap((scenario) => {
    const its = rows.filter((row) => row.scenario === scenario && row.rounds.length > 0);
    if (its.length === 0) return [];
    if (its[0]!.size !== undefined) return [scaling(scenario, its)].flat();
    return [steps(scenario, its), latencies(scenario, its), bars(scenario, its, 'cpu_us', `CPU of the target, µs per ${its[0]!.unit}`, 'cpu'), bars(scenario, its, 'kib_each', 'Memory of the target, KiB per client', 'memory')].flat();
  });
}

/** Percentiles of latency, the tail stretched as HDR plots have it. */
function latencies(scenario: string, rows: readonly Row[]): Plot[] {
  const drawn = rows.filter((row) => counting(row).some(({ spread }) => spread));
  if (drawn.length === 0) return [];
  // What fewer than two samples are beyond says nothing.
  const samples = Math.min(...drawn.flatMap((row) => counting(row).flatMap(({ spread }) => (spread ? [spread.count] : []))));
  const points = PERCENTILES.filter((percentile) => percentile >= 50 && percentile < 100 && samples * (1 - percentile / 100) >= 2);
  if (points.length < 2) return [];
  const series = drawn.map((row) => ({
    type: 'line', name: row.targetTitle, symbol: 'circle', symbolSize: 5, lineStyle: { width: row.target === 'skyport' ? 3 : 2 }, itemStyle: { color: COLORS[row.target] },
    data: points.map((percentile) => {
      const values = counting(row).flatMap(({ spread }) => (spread ? [spread.at[PERCENTILES.indexOf(percentile)]! / 1000] : []));
      return [String(percentile), figureOf(values)!.median];
    }),
  }));
  const all = series.flatMap(({ data }) => data.map(([, value]) => value as number));
  const log = Math.max(...all) / Math.min(...all) > 10;
  const what = scenario === 'large' ? 'Latency of the small requests' : scenario === 'runtime' ? 'Whole turn' : 'Latency';
  const option = {
    ...frame(rows[0]!.title, `${what}, ms${log ? ' (log)' : ''}`),
    legend: { bottom: 8, itemGap: 28, textStyle: { fontFamily: FONT, fontSize: 13 } },
    xAxis: { type: 'category', data: points.map(String), name: 'percentile', nameLocation: 'middle', nameGap: 28, axisLabel: { fontFamily: FONT } },
    yAxis: { type: log ? 'log' : 'value', axisLabel: { fontFamily: FONT, formatter: (value: number) => value.toLocaleString('en') }, splitLine: { lineStyle: { color: '#e6e6e6' } } },
    series,
  };
  return [{ scenario, file: `${scenario}-latency.svg`, title: `${scenario}: latency by percentile`, svg: draw(option) }];
}

/** What a user of the real runtime waits for. */
function steps(scenario: string, rows: readonly Row[]): Plot[] {
  const its = STEPS.filter((step) => rows.some((row) => figure(row, `${step}_p50_us`)));
  if (its.length === 0) return [];
  const option = {
    ...frame(rows[0]!.title, 'Median, ms'),
    legend: { bottom: 8, itemGap: 28, textStyle: { fontFamily: FONT, fontSize: 13 } },
    xAxis: { type: 'category', data: its.map((step) => (step === 'ping' ? 'ping after create' : step === 'turn' ? 'whole turn' : step.replace('_', ' '))), axisLabel: { fontFamily: FONT, fontSize: 14 } },
    yAxis: { type: 'value', axisLabel: { fontFamily: FONT }, splitLine: { lineStyle: { color: '#e6e6e6' } } },
    series: rows.map((row) => ({
      type: 'bar', name: row.targetTitle, itemStyle: { color: COLORS[row.target] }, barGap: '8%',
      data: its.map((step) => (figure(row, `${step}_p50_us`)?.median ?? 0) / 1000),
      label: { show: true, position: 'top', fontFamily: FONT, fontSize: 9, formatter: ({ value }: { value: number }) => written(value) },
    })),
  };
  return [{ scenario, file: `${scenario}-steps.svg`, title: `${scenario}: what a user waits for`, svg: draw(option) }];
}

function bars(scenario: string, rows: readonly Row[], name: string, axis: string, suffix: string): Plot[] {
  const drawn = rows.flatMap((row) => {
    const value = figure(row, name);
    return value ? [{ row, value }] : [];
  });
  if (drawn.length === 0) return [];
  const largest = Math.max(...drawn.map(({ value }) => value.median));
  const smallest = Math.min(...drawn.map(({ value }) => value.median));
  // One that is twenty times the others would hide them.
  const log = largest / smallest > 20;
  // A bar of a logarithmic axis begins at 1, whatever the axis does.
  const scale = log ? 10 ** -Math.floor(Math.log10(smallest / 1.5)) : 1;
  const option = {
    ...frame(rows[0]!.title, `${axis}${log ? ' (log)' : ''}; lines from the smallest to the largest round`),
    grid: { left: 150, right: 80, top: 108, bottom: 40 },
    xAxis: { type: log ? 'log' : 'value', axisLabel: { fontFamily: FONT, formatter: (value: number) => (value / scale).toLocaleString('en') }, splitLine: { lineStyle: { color: '#e6e6e6' } } },
    yAxis: { type: 'category', inverse: true, data: drawn.map(({ row }) => row.targetTitle), axisLabel: { fontFamily: FONT, fontSize: 14 } },
    series: [
      { type: 'bar', barWidth: '55%', data: drawn.map(({ row, value }) => ({ value: value.median * scale, itemStyle: { color: COLORS[row.target] } })) },
      ...drawn.map(({ row, value }) => ({
        type: 'line', symbol: 'none', lineStyle: { color: '#222', width: 1.5 }, silent: true,
        data: [[value.min * scale, row.targetTitle], [value.max * scale, row.targetTitle]],
      })),
      {
        type: 'scatter', symbolSize: 1, itemStyle: { color: 'transparent' }, data: drawn.map(({ row, value }) => [value.max * scale, row.targetTitle]),
        label: { show: true, position: 'right', distance: 8, color: '#333', fontFamily: FONT, fontSize: 14, formatter: ({ dataIndex }: { dataIndex: number }) => written(drawn[dataIndex]!.value.median) },
      },
    ],
  };
  return [{ scenario, file: `${scenario}-${suffix}.svg`, title: `${scenario}: ${suffix} of each target`, svg: draw(option) }];
}

function scaling(scenario: string, rows: readonly Row[]): Plot[] {
  const targets = [...new Set(rows.map(({ target }) => target))].filter((target) => rows.some((row) => row.target === target && figure(row, 'cpu_us')));
  if (targets.length === 0) return [];
  const series = targets.map((target) => {
    const its = rows.filter((row) => row.target === target).sort((a, b) => a.size! - b.size!);
    return {
      type: 'line', name: its[0]!.targetTitle, symbol: 'circle', symbolSize: 8, lineStyle: { width: target === 'skyport' ? 3 : 2 }, itemStyle: { color: COLORS[target] },
      label: { show: true, position: 'top', fontFamily: FONT, formatter: ({ value }: { value: number[] }) => written(value[1]!) },
      data: its.flatMap((row) => {
        const value = figure(row, 'cpu_us');
        return value ? [[row.size!.toLocaleString('en'), value.median]] : [];
      }),
    };
  });
  const option = {
    ...frame(rows[0]!.title, `CPU of the target, µs per ${rows[0]!.unit}`),
    legend: { bottom: 8, itemGap: 28, textStyle: { fontFamily: FONT, fontSize: 13 } },
    xAxis: { type: 'category', data: [...new Set(rows.map(({ size }) => size!))].sort((a, b) => a - b).map((size) => size.toLocaleString('en')), name: rows[0]!.scenario === 'processes' ? 'Skyport processes' : 'sessions', nameLocation: 'middle', nameGap: 28, axisLabel: { fontFamily: FONT } },
    yAxis: { type: 'value', min: 0, axisLabel: { fontFamily: FONT }, splitLine: { lineStyle: { color: '#e6e6e6' } } },
    series,
  };
  return [{ scenario, file: `${scenario}-scaling.svg`, title: `${scenario}: CPU by size`, svg: draw(option) }];
}

function frame(title: string, axis: string): echarts.EChartsCoreOption {
  const [head, ...more] = title.replaceAll('`', '').split(': ');
  const rest = more.join(': ');
  return {
    animation: false, backgroundColor: '#fff',
    title: { text: head, subtext: rest === '' ? axis : `${rest}\n${axis}`, left: 16, top: 10, textStyle: { fontFamily: FONT, fontSize: 16 }, subtextStyle: { fontFamily: FONT, fontSize: 13, color: '#555', lineHeight: 18 } },
    grid: { left: 70, right: 40, top: 108, bottom: 84 },
  };
}

function draw(option: echarts.EChartsCoreOption): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  chart.setOption(option);
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
