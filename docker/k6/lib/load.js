// How much is asked of the shop, and what must be true of its answers.

import { AT_A_TIME, BOOKS_BALANCE } from './shop.js';
import * as settings from './settings.js';

/** The options of a script with one scenario, which is named like the script. */
export function options(name, { p99, scenario = usual(), thresholds }) {
  return optionsOf({ [name]: { ...scenario, p99 } }, thresholds);
}

/**
 * The options of a script with these scenarios. Of each, 99 of 100 answers must come within its `p99` milliseconds, and of an
 * open load all but a few of its `arrivals` must have been sent: what finds no virtual user free is dropped.
 */
export function optionsOf(all, thresholds) {
  const scenarios = {};
  const inTime = {};
  for (const [name, { p99, arrivals, ...scenario }] of Object.entries(all)) {
    scenarios[name] = scenario;
    inTime[`http_req_duration{scenario:${name}}`] = [`p(99)<${settings.p99(p99)}`];
    if (arrivals) {
      inTime[`dropped_iterations{scenario:${name}}`] = [`count<=${Math.ceil((arrivals * settings.dropped) / 100)}`];
    }
  }
  needUsers(Object.values(scenarios));
  return {
    scenarios,
    thresholds: {
      ...inTime,
      http_req_failed: ['rate==0'],
      checks: ['rate==1'],
      [`checks{check:${BOOKS_BALANCE}}`]: ['rate==1'],
      ...thresholds,
    },
    batch: AT_A_TIME,
    batchPerHost: AT_A_TIME,
    setupTimeout: '10m',
    teardownTimeout: '10m',
    // Each tag that differs makes series of its own wherever the metrics go.
    systemTags: ['check', 'error_code', 'expected_response', 'method', 'name', 'scenario', 'status'],
    summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max', 'count'],
  };
}

/** Virtual users who are the same customer would empty each other's cart. */
function needUsers(scenarios) {
  const most = ({ preAllocatedVUs, vus, stages }) =>
    preAllocatedVUs || vus || Math.max(...stages.map((stage) => stage.target));
  const needed = scenarios.reduce((sum, scenario) => sum + most(scenario), 0);
  if (settings.users < needed) {
    throw new Error(`USERS=${settings.users} is too few: there may be ${needed} virtual users at a time`);
  }
}

function usual() {
  return byLoad[settings.load('closed')](settings.duration('30s'));
}

const byLoad = {
  /** So many at a time, each again as soon as there is an answer. */
  closed: (seconds) => ({ executor: 'constant-vus', vus: settings.vus, duration: `${seconds}s` }),

  /** The same, with fewer at the beginning and at the end. */
  ramping: (seconds) => ({
    executor: 'ramping-vus',
    startVUs: 1,
    stages: [
      { duration: milliseconds(seconds / 5), target: settings.vus },
      { duration: milliseconds((seconds * 3) / 5), target: settings.vus },
      { duration: milliseconds(seconds / 5), target: 1 },
    ],
  }),

  /** So many a second, whatever the answers take. */
  open: (seconds) => ({
    executor: 'constant-arrival-rate',
    rate: settings.rate,
    timeUnit: '1s',
    duration: `${seconds}s`,
    preAllocatedVUs: settings.vus,
    arrivals: settings.rate * seconds,
  }),
};

export const milliseconds = (seconds) => `${Math.round(seconds * 1000)}ms`;
