// What the tabs of GraphiQL hold at first: the loop of docs/api.md, to be run from left to right.
'use strict';

/** Gives the tabs; `project` is the id to fill in, empty when there is none. */
function concordExamples(project) {
  const projectId = project || 'proj_… (LookAround lists yours)';
  const session = { session: 'sess_… (id of the session that you claimed)', fence: 1 };

  /** Makes the id of a new annotation, see docs/api.md. */
  function annotationId() {
    const random = crypto.getRandomValues(new BigUint64Array(2));
    let n = (BigInt(Date.now()) << 80n) | (7n << 76n) | ((random[0] & 0xfffn) << 64n) | (2n << 62n) | (random[1] >> 2n);
    let text = '';
    for (let i = 0; i < 26; i++, n >>= 5n) text = '0123456789abcdefghjkmnpqrstvwxyz'[Number(n & 31n)] + text;
    return `ann_${text}`;
  }

  const box = {
    create: {
      id: annotationId(),
      tool: 'Cells',
      label: 'RBC',
      geometry: { boundingBox: { x: 60, y: 80, width: 110.5, height: 104 } },
      attributes: { truncated: false },
    },
  };

  return [
    tab({}, `
# Who you are, and the projects that you see.
# Run it with the button, or Ctrl-Enter.
query LookAround {
  viewer {
    name email admin
    sessions { id fence task { externalId } }
  }
  projects(first: 10) {
    nodes {
      id name state review
      taskCounts { state count }
      members(first: 10) { nodes { role user { name } } }
    }
  }
}`),
    tab({ project: projectId }, `
# Its tasks with their pictures (open a url), and
# what was drawn on them.
query Tasks($project: ID!) {
  tasks(projectId: $project, first: 20) {
    totalCount
    nodes {
      id externalId state round
      assets(first: 1) { nodes { fileName width height url } }
      annotations(first: 3) {
        nodes {
          label author { name }
          geometry { ... on BoundingBox { x y width height } }
        }
      }
      reviews { verdict comment reviewer { name } }
    }
  }
}`),
    tab({ project: projectId }, `
# Takes the next task. Put the session's id and fence
# into the variables of Save and Submit.
mutation Claim($project: ID!) {
  claimTask(input: { projectId: $project }) {
    session {
      id fence actor expiresAt
      task {
        id externalId
        assets(first: 1) { nodes { url } }
        template { tools { name kind labels { name } } }
      }
    }
    reason
  }
}`),
    tab({ ...session, edits: [box] }, `
# Saves a box. Sent again it is recognised: repeated is
# true. Another box needs another id.
mutation Save(
  $session: ID!, $fence: Int!, $edits: [AnnotationEditInput!]!
) {
  saveAnnotations(
    input: { sessionId: $session, fence: $fence, edits: $edits }
  ) {
    results {
      annotationId outcome repeated
      code field message
      annotation { revision versionVector }
    }
    task { version }
  }
}`),
    tab(session, `
# Hands the task in.
mutation Submit($session: ID!, $fence: Int!) {
  submitTask(input: { sessionId: $session, fence: $fence }) {
    task { state }
    snapshot { id version }
  }
}`),
    tab({ project: projectId }, `
# Takes the next submission to review, never your own.
# The session's id and fence go into Review.
mutation ClaimReview($project: ID!) {
  claimReview(input: { projectId: $project }) {
    session {
      id fence
      task {
        externalId
        annotations(first: 100) { nodes { label author { name } } }
      }
    }
    reason
  }
}`),
    tab({ ...session, verdict: 'ACCEPT', comment: 'well done' }, `
# Accepts it. REJECT sends it back to whoever labeled it,
# with your comment.
mutation Review(
  $session: ID!, $fence: Int!,
  $verdict: ReviewVerdict!, $comment: String
) {
  reviewTask(
    input: {
      sessionId: $session, fence: $fence,
      verdict: $verdict, comment: $comment
    }
  ) {
    task { state round }
    reviews { verdict comment }
  }
}`),
    tab({ project: projectId }, `
# What happens, as it happens. Leave it running here, and
# run the other tabs in a second window.
subscription Live($project: ID!) {
  taskEvents(projectId: $project) {
    __typename type at cursor
    ... on TaskEvent { task { externalId } from to by { name } }
    ... on SessionEvent { slot opened by { name } }
    ... on AnnotationEvent { annotation { label revision } by { name } }
    ... on ReviewEvent { review { verdict comment } by { name } }
  }
}`),
    tab({ project: projectId }, `
# Makes a data set of what is accepted.
mutation Export($project: ID!) {
  startExport(input: { projectId: $project, format: COCO }) {
    job { id state }
  }
}`),
    tab({ project: projectId }, `
# How the export goes. Once it has SUCCEEDED, open the URL.
query Exported($project: ID!) {
  project(id: $project) {
    jobs(last: 1) { nodes { state message resultUrl losses } }
  }
}`),
  ];

  function tab(variables, query) {
    return { query: query.trim(), variables: JSON.stringify(variables, null, 2) };
  }
}
