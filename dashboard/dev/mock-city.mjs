// A made-up city for looking at the page without the binary: a grid of streets with a ring road,
// and congestion that wanders across it. Nothing here is a model of traffic.

const NAMES_A = ['Harbour', 'Linden', 'Mill', 'Station', 'Castle', 'Orchard', 'Bridge', 'Market', 'Garden', 'Church', 'River', 'Chapel'];
const NAMES_B = ['Street', 'Avenue', 'Road', 'Lane'];
const FREE_FLOW_KMH = { motorway: 100, primary: 50, secondary: 50, tertiary: 40, residential: 30, service: 15 };
const NO_DATA = 255;
const SUPPRESSED = 254;

/** Deterministic noise in 0..1. */
function noise(seed) {
  const x = Math.sin(seed * 127.1 + 311.7) * 43758.5453;
  return x - Math.floor(x);
}

export function makeCity({ columns = 22, rows = 16 } = {}) {
  const center = [9.993, 53.551];
  const stepLon = 0.0034;
  const stepLat = 0.0021;
  const s = { id: [], name: [], class: [], length_m: [], free_flow_mps: [], line: [] };
  const middle = [];

  const node = (c, r) => [
    center[0] + (c - columns / 2) * stepLon + (noise(c * 31 + r) - 0.5) * stepLon * 0.35 + Math.sin(r / 4) * stepLon * 0.8,
    center[1] + (r - rows / 2) * stepLat + (noise(c + r * 57) - 0.5) * stepLat * 0.35 + Math.sin(c / 5) * stepLat * 0.9,
  ];

  function addWay(points, name, roadClass, bothWays = true) {
    for (const way of bothWays ? [points, [...points].reverse()] : [points]) {
      const e6 = way.map(([lon, lat]) => [Math.round(lon * 1e6), Math.round(lat * 1e6)]);
      const line = [...e6[0]];
      let length = 0;
      for (let i = 1; i < e6.length; i++) {
        line.push(e6[i][0] - e6[i - 1][0], e6[i][1] - e6[i - 1][1]);
        length += Math.hypot((e6[i][0] - e6[i - 1][0]) * 0.0661, (e6[i][1] - e6[i - 1][1]) * 0.1113);
      }
      const index = s.id.length;
      s.id.push((BigInt(index + 1) * 0x9e3779b97f4a7c15n & 0xffffffffffffffffn).toString(16).padStart(16, '0'));
      s.name.push(name);
      s.class.push(roadClass);
      s.length_m.push(Math.round(length * 10) / 10);
      s.free_flow_mps.push(FREE_FLOW_KMH[roadClass] / 3.6);
      s.line.push(line);
      middle.push(way[way.length >> 1]);
    }
  }

  const gridClass = (i, main) => (i % 7 === main ? 'primary' : i % 3 === 1 ? 'secondary' : i % 3 === 2 ? 'tertiary' : 'residential');
  for (let r = 0; r <= rows; r++) {
    for (let c = 0; c <= columns; c++) {
      const a = node(c, r);
      const bend = (b, seed) => [a, [(a[0] + b[0]) / 2 + (noise(seed) - 0.5) * 0.0005, (a[1] + b[1]) / 2 + (noise(seed + 9) - 0.5) * 0.0003], b];
      const east = `${NAMES_A[r % 12]} ${NAMES_B[r % 4]}`;
      const north = `${NAMES_A[(c + 5) % 12]} ${NAMES_B[(c + 1) % 4]}`;
      if (c < columns && noise(r * 77 + c) > 0.08) addWay(bend(node(c + 1, r), r * 77 + c), r % 5 === 4 ? null : east, gridClass(r, 3));
      if (r < rows && noise(c * 91 + r) > 0.08) addWay(bend(node(c, r + 1), c * 91 + r), north, gridClass(c, 4), c % 6 !== 2);
    }
  }
  const ring = Array.from({ length: 97 }, (_, i) => {
    const angle = (i / 96) * 2 * Math.PI;
    return [center[0] + Math.cos(angle) * stepLon * columns * 0.68, center[1] + Math.sin(angle) * stepLat * rows * 0.74];
  });
  for (let i = 0; i < 96; i += 6) addWay(ring.slice(i, i + 7), 'Ring Motorway', 'motorway');

  const network = { city: 'demo', network: 'mock grid', hash: `mock-${columns}x${rows}`, bbox: boxOf(ring), center, segments: s };
  return { network, middle };
}

function boxOf(points) {
  const lons = points.map((p) => p[0]);
  const lats = points.map((p) => p[1]);
  return [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)];
}

/** The whole state at one time: a snapshot and a byte a segment. */
export function stateAt({ network, middle }, nowMs, windowS, { empty = false } = {}) {
  const { segments, center } = network;
  const t = nowMs / 1000 / (windowS === 300 ? 60 : 20);
  const bytes = Buffer.alloc(segments.id.length, NO_DATA);
  const out = { index: [], speed_mps: [], speed_ratio: [], vehicles: [], delay_veh_h_per_h: [], density_veh_per_km: [], flow_veh_per_h: [], level: [] };
  let suppressed = 0;
  let observed = 0;
  const sums = { vehicles: 0, km: 0, hours: 0, free: 0 };
  for (let i = 0; i < bytes.length && !empty; i++) {
    const seen = noise(i * 3.7 + Math.floor(t / 3 + noise(i) * 9));
    const minor = segments.class[i] === 'residential' || segments.class[i] === 'tertiary';
    if (seen < (minor ? 0.4 : 0.05)) continue;
    observed += segments.length_m[i];
    if (seen < (minor ? 0.6 : 0.1)) {
      bytes[i] = SUPPRESSED;
      suppressed++;
      continue;
    }
    const x = (middle[i][0] - center[0]) * 100;
    const y = (middle[i][1] - center[1]) * 160;
    const jam = Math.exp(-((x - 2 * Math.sin(t / 5)) ** 2 + (y - Math.cos(t / 7)) ** 2) / 1.6) + 0.8 * Math.exp(-((x + 2.4) ** 2 + (y + 0.8) ** 2) / 0.5);
    const ratio = Math.max(0.06, Math.min(1.15, 1.0 - 0.75 * jam - 0.18 * noise(i * 1.3) + 0.08 * Math.sin(t + i)));
    const vehicles = Math.round((3 + 14 * noise(i * 2.1) + 25 * jam) * (windowS / 60) ** 0.6);
    const speed = ratio * segments.free_flow_mps[i];
    const km = (vehicles * segments.length_m[i]) / 1000;
    const hours = km / (speed * 3.6);
    const free = km / (segments.free_flow_mps[i] * 3.6);
    sums.vehicles += vehicles * 0.3;
    sums.km += km;
    sums.hours += hours;
    sums.free += Math.min(free, hours);
    bytes[i] = Math.min(250, Math.max(0, Math.round(ratio * 100)));
    out.index.push(i);
    out.speed_mps.push(speed);
    out.speed_ratio.push(ratio);
    out.vehicles.push(vehicles);
    out.delay_veh_h_per_h.push(((hours - Math.min(free, hours)) * 3600) / windowS);
    out.flow_veh_per_h.push((vehicles * 3600) / windowS);
    out.density_veh_per_km.push((vehicles * 3600) / windowS / (speed * 3.6));
    out.level.push(ratio > 0.8 ? 'free' : ratio >= 0.67 ? 'light' : ratio >= 0.5 ? 'moderate' : ratio >= 0.25 ? 'heavy' : 'severe');
  }
  const total = segments.length_m.reduce((a, b) => a + b, 0);
  const ticks = Math.floor(nowMs / 1000) % 100_000;
  const received = empty ? 0 : 1_200_000 + ticks * 830;
  const head = {
    window_s: windowS,
    window_end_ms: Math.floor(nowMs / 1000) * 1000,
    published_ms: nowMs,
    k: 3,
    city: {
      speed_mps: empty ? null : sums.km / sums.hours / 3.6,
      travel_time_index: empty ? null : sums.hours / sums.free,
      delay_veh_h_per_h: empty ? null : ((sums.hours - sums.free) * 3600) / windowS,
      vehicles: Math.round(sums.vehicles),
      events: Math.round(sums.vehicles * windowS * 0.8),
      observed_length_share: observed / total,
      newest_observation_ms: empty ? null : nowMs - 240,
      segments_published: out.index.length,
      segments_suppressed: suppressed,
    },
    fates: { received, accepted: received - Math.round(received * 0.011), duplicate: Math.round(received * 0.009), rejected: Math.round(received * 0.002) },
  };
  return { head, segments: out, bytes };
}

export function worstOf(columns, count) {
  const order = columns.index.map((_, i) => i).sort((a, b) => columns.speed_ratio[a] - columns.speed_ratio[b]).slice(0, count);
  return Object.fromEntries(Object.entries(columns).map(([key, values]) => [key, order.map((i) => values[i])]));
}
