// For every union and interface of a schema but Node: one document that selects all fields of all members must be
// valid by the reference implementation. Two members whose fields of one name differ in type would make it invalid.
//
//   node abstract_types.mjs SCHEMA_FILE

import { readFileSync } from "node:fs";
import { buildSchema, getNamedType, isAbstractType, isLeafType, parse, validate } from "graphql";

const schema = buildSchema(readFileSync(process.argv[2], "utf8"));
let invalid = 0;

for (const type of Object.values(schema.getTypeMap())) {
  if (!isAbstractType(type) || type.name === "Node" || type.name.startsWith("__")) continue;
  const members = schema.getPossibleTypes(type).map((member) => {
    const fields = Object.values(member.getFields()).filter((field) => field.args.every((argument) => !isRequired(argument)));
    const selections = fields.map((field) => (isLeafType(getNamedType(field.type)) ? field.name : `${field.name} { __typename }`));
    return `... on ${member.name} { ${selections.join(" ")} }`;
  });
  const errors = validate(schema, parse(`fragment all on ${type.name} { ${members.join(" ")} } ${user(type)}`));
  console.log(`${type.name}: ${members.length} members, ${errors.length} errors`);
  errors.forEach((error) => console.log(`  ${error.message}`));
  invalid += errors.length;
}
process.exitCode = invalid === 0 ? 0 : 1;

function isRequired(argument) {
  return argument.type.toString().endsWith("!") && argument.defaultValue === undefined;
}

// A fragment must be used; where the type can be reached does not matter for its own validity.
function user(type) {
  return `query { __typename ...use } fragment use on Query { ${path(type)} }`;
}

function path(type) {
  for (const holder of Object.values(schema.getTypeMap())) {
    if (holder.name.startsWith("__") || !("getFields" in holder) || !("getInterfaces" in holder)) continue;
    for (const field of Object.values(holder.getFields())) {
      if (getNamedType(field.type) === type) return route(schema.getQueryType(), holder, field);
    }
  }
  throw new Error(`${type.name} cannot be reached`);
}

// The way from `from` to `holder.field`, breadth first, as nested selections.
function route(from, holder, field) {
  const seen = new Set([from]);
  let ways = [{ at: from, steps: [] }];
  while (ways.length > 0) {
    const found = ways.find((way) => way.at === holder);
    if (found) return nest([...found.steps, field], "...all");
    ways = ways.flatMap(({ at, steps }) =>
      Object.values(at.getFields?.() ?? {}).flatMap((step) => {
        const next = getNamedType(step.type);
        if (seen.has(next) || !("getFields" in next)) return [];
        seen.add(next);
        return [{ at: next, steps: [...steps, step] }];
      }),
    );
  }
  throw new Error(`${holder.name} cannot be reached`);
}

function nest(steps, inner) {
  return steps.reduceRight((below, step) => `${step.name}${values(step)} { ${below} }`, inner);
}

function values(field) {
  const required = field.args.filter(isRequired).map((argument) => `${argument.name}: ${/Int/.test(argument.type) ? 1 : '"x"'}`);
  return required.length > 0 ? `(${required.join(", ")})` : "";
}
